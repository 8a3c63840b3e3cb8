import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../src/net/address.js';
import { LineError, packetOf, parseLine } from '../../src/policy/packet-line.js';

test('a packet is what its line says', () => {
  const line = parseLine('tcp wan 203.0.113.5:40000 > 192.0.2.1:22 syn,ack ttl 3 size 5');
  const packet = packetOf(line, () => 1);
  assert.equal(line.from, 'wan');
  assert.equal(formatAddress(packet.source), '203.0.113.5');
  assert.deepEqual(packet.tcp, { sourcePort: 40_000, destinationPort: 22, flags: 0x12 });
  assert.deepEqual([packet.ttl, packet.payload.length], [3, 5]);
});

test('what is left out is a fresh source port and a SYN, or an echo request', () => {
  assert.deepEqual(packetOf(parseLine('tcp wan [2001:db8::5] > [2001:db8::1]:https'), () => 77).tcp, {
    sourcePort: 77,
    destinationPort: 443,
    flags: 2,
  });
  assert.equal(packetOf(parseLine('icmp wan 2001:db8::5 > 2001:db8::1'), () => 0).icmp?.type, 128);
  assert.deepEqual(packetOf(parseLine('icmp wan 192.0.2.9 > 192.0.2.1 unreachable/port'), () => 0).icmp?.code, 3);
});

test('a packet of the host itself has a mark and an owner', () => {
  const { from, mark, uid } = parseLine('udp host 192.0.2.1 > 203.0.113.5:53 mark 0x10 uid 1000');
  assert.deepEqual([from, mark, uid], [undefined, 16, 1000]);
});

for (const [line, column, problem] of [
  ['', 1, 'the packet ends here, and a protocol is missing'],
  ['tpc wan 203.0.113.5 > 192.0.2.1:22', 1, '"tpc" is not a protocol'],
  ['tcp wan 203.0.113.5', 20, 'the packet ends here, and ">" is missing'],
  ['tcp wan 203.0.113.5 192.0.2.1:22', 21, '">" stands between source and destination, not "192.0.2.1:22"'],
  ['tcp wan 203.0.113.5 > 192.0.2.1', 32, 'a destination port is missing, as in :22'],
  ['tcp wan 203.0.113.5 > 192.0.2.1:99999', 33, '"99999"'],
  ['tcp wan 203.0.113.5 > [2001:db8::1]:22', 23, 'source and destination are not of the same family'],
  ['gre wan 203.0.113.5 > 192.0.2.1:22', 23, 'only tcp and udp have ports'],
  ['tcp wan 203.0.113.5 > 192.0.2.1:22 syn,sin', 40, '"sin" is neither a TCP flag nor an option'],
  ['udp wan 203.0.113.5 > 192.0.2.1:53 syn', 36, '"syn" has no place here'],
  ['tcp wan 203.0.113.5 > 192.0.2.1:22 ttl 300', 40, 'ttl is a number from 0 to 255'],
  ['tcp wan 203.0.113.5 > 192.0.2.1:22 uid 0', 36, 'only packets of the host itself have a uid'],
] as const) {
  test(`"${line}" is refused at column ${column}, with the grammar`, () => {
    assert.throws(
      () => parseLine(line),
      (error) => {
        assert.ok(error instanceof LineError);
        assert.equal(error.column, column);
        assert.ok(error.problem.startsWith(problem), error.problem);
        assert.match(error.message, /PROTOCOL INTERFACE SOURCE/);
        return true;
      },
    );
  });
}
