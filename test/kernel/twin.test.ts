/** The twin decides as the plain ruleset does: random packets through both, 12,000 of them. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openScratch } from '../../src/kernel/open-scratch.js';
import type { Injection } from '../../src/kernel/scratch.js';
import { parseAddress } from '../../src/net/address.js';
import { scratchHost } from '../../src/oracle/host.js';
import { planContents } from '../../src/oracle/plan-contents.js';
import type { Outcome } from '../../src/oracle/reading.js';
import { Trial } from '../../src/oracle/trial.js';
import { encodePacket, type Packet, PROTOCOL } from '../../src/wire/packet.js';
import { compiled, world } from './scratch-world.js';

const PACKETS = 12_000;
const CHUNK = 1_000;

// No limits and no chance: they would differ between two runs of the same ruleset, too.
const plan = compiled(`
version: 1
interfaces: { wan: wan, lan: lan }
tables:
  bad: { entries: [203.0.113.64/26, 203.0.113.5, 2001:db8:bad::/48] }
  office: { entries: [198.51.100.0/28, not 198.51.100.3] }
chains:
  prerouting:
    rules:
      - { in: wan, from: <office>, do: drop }
      - { udp: 4000, do: notrack }
  input:
    policy: drop
    rules:
      - { from: <bad>, do: drop }
      - { state: [established, related], do: accept }
      - { state: invalid, do: drop }
      - { in: wan, tcp: [22, 443, 1000-1100], do: accept }
      - { tcp: 25, from: not <office>, do: reject with tcp-reset }
      - { udp: [53, 4000], do: accept }
      - { tcp: any, flags: FPU/FPU, do: drop }
      - { icmp: echo-request, do: accept }
      - { in: lan, do: jump inside }
  inside:
    rules:
      - { tcp: 22, from: <office>, do: accept }
      - { udp: any, do: return }
      - { tcp: 80, do: reject }
  forward:
    policy: drop
    rules:
      - { state: [established, related], do: accept }
      - { in: lan, out: wan, do: accept }
      - { in: wan, out: lan, tcp: 443, do: accept }
`);

const addresses = {
  4: ['203.0.113.5', '203.0.113.70', '203.0.113.9', '198.51.100.3', '198.51.100.7', '192.0.2.1', '192.0.2.9'],
  6: ['2001:db8:bad::1', '2001:db8:9::9', '2001:db8:1::7', '2001:db8::1', '2001:db8::9'],
} as const;
const ports = fc.constantFrom(22, 25, 53, 80, 443, 1000, 1050, 1101, 4000, 9);
const sourcePorts = fc.constantFrom(22, 443, 5000, 5001, 5002);

const packets = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc
    .record({
      source: fc.constantFrom(...addresses[family]).map(parseAddress),
      destination: fc.constantFrom(...addresses[family]).map(parseAddress),
      protocol: fc.constantFrom('tcp', 'udp', 'icmp'),
      sourcePort: sourcePorts,
      destinationPort: ports,
      flags: fc.constantFrom(2, 18, 16, 4, 41, 0),
      device: fc.constantFrom('wan', 'lan'),
    })
    .map(({ source, destination, protocol, sourcePort, destinationPort, flags, device }) => {
      const head = { source, destination, payload: new Uint8Array(0) };
      const own: Record<string, Packet> = {
        tcp: { ...head, protocol: PROTOCOL.TCP, tcp: { sourcePort, destinationPort, flags } },
        udp: { ...head, protocol: PROTOCOL.UDP, udp: { sourcePort, destinationPort } },
        icmp: {
          ...head,
          protocol: family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6,
          icmp: { type: family === 4 ? 8 : 128, code: 0 },
        },
      };
      return { packet: encodePacket(own[protocol]!), at: { device } } satisfies Injection;
    }),
);

const [plain, twin] = [new Trial(await openScratch()), new Trial(await openScratch())];
after(() => [plain, twin].forEach((trial) => void trial.dispose()));
for (const [trial, isTwin] of [
  [plain, false],
  [twin, true],
] as const) {
  await trial.build(scratchHost(world));
  await trial.load({ ruleset: plan.ruleset, contents: planContents(plan, world.interfaces), twin: isTwin });
}

/** Without answers: the kernel limits the rate of its ICMP errors and redirects. */
function decision({ verdict, stop, hook, state, out }: Outcome): string {
  const by = stop.by === 'rule' ? `rule ${stop.rule.number}` : JSON.stringify(stop);
  const onward = out.filter(({ kind }) => kind === 'onward').map(({ device }) => device);
  return [verdict, by, hook, state, onward.join()].join(' | ');
}

test(`the twin and the plain ruleset decide alike on ${PACKETS} random packets`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const verdicts = new Map<string, number>();
  for (let chunk = 0; chunk * CHUNK < PACKETS; chunk++) {
    const injections = fc.sample(packets, { seed: seed + chunk, numRuns: CHUNK });
    const [expected, got] = await Promise.all([plain.send(injections), twin.send(injections)]);
    for (const [index, outcome] of expected.entries()) {
      const hex = Buffer.from(injections[index]!.packet).toString('hex');
      assert.equal(decision(got[index]!), decision(outcome), `seed ${seed}, chunk ${chunk}, packet ${hex}`);
      verdicts.set(outcome.verdict, (verdicts.get(outcome.verdict) ?? 0) + 1);
    }
  }
  assert.equal(verdicts.get('incomplete') ?? 0, 0, `seed ${seed}`);
  for (const verdict of ['accept', 'drop', 'reject', 'lost']) assert.ok((verdicts.get(verdict) ?? 0) > 10, verdict);
});
