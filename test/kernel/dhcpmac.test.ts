/** The match dhcpmac: prefixes of every length and their negation, by real packets. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { matchHost } from './match-host.js';
import { tcp, udp } from './scratch-world.js';

const host = await matchHost({ after });

/** A DHCP message with this client hardware address. */
function message(mac: string): Uint8Array {
  const bytes = Buffer.alloc(240);
  Buffer.from(mac.replaceAll(':', ''), 'hex').copy(bytes, 28);
  return bytes;
}

const [own, wanted] = [0x0050_5612_3456n, 48];

/** The address with one bit turned, from the first on. */
const turned = (bit: number): string =>
  (own ^ (1n << BigInt(wanted - 1 - bit)))
    .toString(16)
    .padStart(12, '0')
    .replaceAll(/..(?!$)/g, '$&:');

test('a prefix takes the addresses that begin so, and its negation all others', async () => {
  const lengths = Array.from({ length: 48 }, (_, index) => index + 1);
  const prefixes = lengths.map((length) => `dhcpmac: 00:50:56:12:34:56/${length}`);
  const rules = [...prefixes, ...prefixes.map((rule) => rule.replace(': ', ': not '))];
  await host.rules(
    'prerouting',
    rules.map((rule) => `udp: any, ${rule}`),
  );
  for (const [source, destination] of [
    ['203.0.113.5', '192.0.2.1'],
    ['2001:db8:9::5', '2001:db8::1'],
  ] as const) {
    const same = await host.hits(udp(source, destination, 67, message('00:50:56:12:34:56')));
    assert.deepEqual(same, [...lengths.map(() => 1), ...lengths.map(() => 0)]);
    for (const bit of [0, 7, 8, 19, 20, 23, 24, 46, 47]) {
      const hits = await host.hits(udp(source, destination, 68, message(turned(bit))));
      const begins = lengths.map((length) => (length <= bit ? 1 : 0));
      assert.deepEqual(hits, [...begins, ...begins.map((hit) => 1 - hit)], `bit ${bit}`);
    }
  }
});

test('what is no UDP has no such address, nor its negation', async () => {
  await host.rules('prerouting', ['udp: any, dhcpmac: 00:00:00:00:00:00', 'udp: any, dhcpmac: not 00:00:00:00:00:00']);
  assert.deepEqual(await host.hits({ ...tcp('203.0.113.5', '192.0.2.1', 67), payload: message('0:0') }), [0, 0]);
});
