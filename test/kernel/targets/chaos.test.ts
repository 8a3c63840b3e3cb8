/** CHAOS through the real kernel and against nmap: shares behind ingress, what conntrack keeps. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { encodePacket, FLAG_BIT } from '../../../src/wire/packet.js';
import { decodeGolden } from '../../vectors/golden.js';
import { tcp } from '../scratch-world.js';
import { targetBed } from './bed.js';
import { network, opens, remembered, scanned, silent } from './trap-bed.js';

const packets = 50_000;
const batch = 2_000;

const { host, policy } = await targetBed({ after });

/** Within six standard deviations: one run in a billion is outside. */
function assertShare(label: string, found: number, share: number): void {
  const deviation = Math.sqrt(packets * share * (1 - share));
  assert.ok(Math.abs(found - packets * share) <= 6 * deviation, `${label}: ${found} of ${packets}, expected ${share}`);
}

test(`CHAOS in input answers a share of ${packets} SYNs with SYN+ACK, and drops or refuses the others`, async () => {
  await policy(
    'input',
    '{ tcp: 80, do: { chaos: { delude: true, delude_percentage: 20%, reject_percentage: 0%, limit: off } } }',
  );
  let answered = 0;
  for (let done = 0; done < packets; done += batch) {
    const injections = Array.from({ length: batch }, (_, index) => {
      const number = done + index;
      const packet = tcp(`198.18.${(number >> 8) & 255}.${number & 255}`, '192.0.2.1', 80, FLAG_BIT.SYN, 40_000);
      return { packet: encodePacket(packet), at: { device: 'wan' } };
    });
    for (const { frames } of await host.scratch.inject(injections)) {
      assert.ok(frames.length <= 1);
      for (const { bytes } of frames) {
        const answer = decodeGolden(Buffer.from(bytes.subarray(14)));
        assert.deepEqual([answer.l4, answer.flags, answer.l4_csum_ok], ['tcp', 'AS', true]);
        answered += 1;
      }
    }
  }
  assertShare('deluded', answered, 0.2);
});

const traps = `version: 1
chains:
  ingress:
    on: wan
    rules:
      - { tcp: 1026, do: { chaos: { delude: true, reject_percentage: 0%, delude_percentage: 100% } } }
      - { tcp: 1027, do: { chaos: { tarpit: true, reject_percentage: 100% } } }
      - { tcp: 1028, do: { chaos: { tarpit: true, reject_percentage: 0%, delude_percentage: 100% } } }
`;

test('nmap sees ports of CHAOS as what was drawn, and conntrack nothing', async (t) => {
  const made = await network(t, traps);
  await scanned(t, made, [1026, 1027, 1028], (port, scan) => {
    if (port === 1027) return 'filtered';
    return opens(scan) ? 'open' : port === 1026 ? 'closed' : silent;
  });
  for (const port of [1026, 1027, 1028]) assert.equal(await remembered(made, port), '');
});
