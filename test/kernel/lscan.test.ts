/** What lscan says of single packets: mirai, stealth, and the negation, by real packets. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { matchHost } from './match-host.js';
import { tcp, udp } from './scratch-world.js';

const host = await matchHost({ after });
const { ACK, FIN, RST, SYN, PSH, URG } = FLAG_BIT;

/** A segment with this sequence number. */
function numbered(destination: string, sequence: number, flags: number = SYN): Packet {
  const segment = tcp(destination.includes(':') ? '2001:db8:9::5' : '203.0.113.5', destination, 23, flags);
  return { ...segment, tcp: { ...segment.tcp!, sequence } };
}
const asNumber = (address: string): number => Number(parseAddress(address).value & 0xffff_ffffn);

test('mirai is a segment whose sequence number is its destination, of IPv4', async () => {
  const rules = ['tcp: any, lscan: mirai', 'tcp: any, lscan: not mirai', 'lscan: [mirai, synscan]', 'lscan: not mirai'];
  for (const [chain, near, far] of [
    ['input', '192.0.2.1', '198.51.100.1'],
    ['forward', '198.51.100.7', '198.51.100.8'],
  ] as const) {
    await host.rules(chain, rules);
    for (const round of ['first', 'again']) {
      for (const destination of [near, far]) {
        assert.deepEqual(await host.hits(numbered(destination, asNumber(destination))), [1, 0, 1, 0], round);
        const other = destination === near ? far : near;
        assert.deepEqual(await host.hits(numbered(destination, asNumber(other))), [0, 1, 0, 1], 'of another host');
        assert.deepEqual(await host.hits(numbered(destination, asNumber(destination) + 1)), [0, 1, 0, 1], round);
      }
    }
    const six = chain === 'input' ? '2001:db8::1' : '2001:db8:1::7';
    assert.deepEqual(await host.hits(numbered(six, asNumber(six))), [0, 1, 0, 1], 'IPv6');
    assert.deepEqual(await host.hits(udp('203.0.113.5', near, 23)), [0, 0, 0, 1], 'UDP');
  }
});

test('stealth is every segment that opens nothing, belongs to nothing and is no refusal', async () => {
  await host.rules('input', ['lscan: stealth', 'lscan: not stealth', 'lscan: { not: [stealth, cnscan] }']);
  // Of no connection, as conntrack sees it: no segment begins one with these flags.
  const strays = [0, FIN, FIN | PSH | URG, FIN | SYN, PSH, URG];
  for (const destination of ['192.0.2.1', '2001:db8::1']) {
    for (const flags of strays) {
      assert.deepEqual(await host.hits(numbered(destination, 7, flags)), [1, 0, 0], `flags ${flags}`);
    }
    for (const flags of [SYN, RST, RST | ACK]) {
      assert.deepEqual(await host.hits(numbered(destination, 7, flags)), [0, 1, 1], `flags ${flags}`);
    }
  }
});

test('a rule of other packets than TCP has no scans, and says so at its line', async () => {
  await assert.rejects(host.rules('input', ['udp: 53, lscan: stealth']), /lscan looks at TCP/);
  await assert.rejects(host.rules('input', ['icmp: any, lscan: stealth']), /"lscan" can't stand with "icmp"/);
  await host.rules('input', ['port: any, lscan: stealth']);
  assert.deepEqual(await host.hits(numbered('192.0.2.1', 7, FIN)), [1]);
});
