/** ECHO through the real kernel: real clients, every answer's checksums, and what is not sent back. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { checksum } from '../../../src/wire/checksum.js';
import { encodePacket } from '../../../src/wire/packet.js';
import { until } from '../namespace.js';
import { udp } from '../scratch-world.js';
import { targetBed } from './bed.js';
import { dark, echoed, families, host, network } from './trap-bed.js';

const { leaving, policy } = await targetBed({ after });

const pairs = [
  ['203.0.113.5', '192.0.2.1'],
  ['203.0.113.5', '198.51.100.77'],
  ['2001:db8:7::5', '2001:db8::1'],
  ['2001:db8:7::5', '2001:db8:1::77'],
] as const;

test('ECHO sends datagrams of all sizes back, local and routed, with right checksums and 64 hops', async () => {
  await policy('ingress', '{ udp: [7, 4000-4010], do: { echo: { limit: off } } }');
  for (const [client, server] of pairs) {
    for (const bytes of [1, 2, 3, 18, 64, 511, 1400]) {
      for (const ttl of [1, 64, 255]) {
        const sent = { ...udp(client, server, 4005, Buffer.alloc(bytes, 0x5a)), ttl };
        const [answer, ...more] = await leaving(sent);
        const label = `${client} to ${server}, ${bytes} bytes, ${ttl} hops`;
        assert.equal(more.length, 0, label);
        assert.deepEqual([answer?.device, answer?.from, answer?.to], ['wan', server, client], label);
        assert.deepEqual(
          [answer?.packet.udp?.sourcePort, answer?.packet.udp?.destinationPort],
          [4005, sent.udp?.sourcePort],
        );
        assert.deepEqual(
          [answer?.packet.ttl, Buffer.from(answer!.packet.payload)],
          [64, Buffer.from(sent.payload)],
          label,
        );
      }
    }
  }
});

test('ECHO clears DF, and keeps what may be fragmented as it is', async () => {
  await policy('ingress', '{ udp: 7, do: { echo: { limit: off } } }');
  for (const flags of [0x4000, 0]) {
    for (const ttl of [1, 63, 64, 65, 255]) {
      const packet = encodePacket({ ...udp('203.0.113.5', '192.0.2.1', 7), ttl });
      packet.writeUInt16BE(flags, 6);
      packet.writeUInt16BE(0, 10);
      packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
      const [answer] = await leaving(packet);
      assert.deepEqual([answer?.bytes.readUInt16BE(6), answer?.bytes[8]], [0, 64], `${flags} ${ttl}`);
    }
  }
});

test('ECHO answers no answer: nothing goes back to a port that answers, too', async () => {
  await policy('ingress', '{ udp: [7, 4000], do: { echo: { limit: off } } }');
  for (const port of [7, 13, 17, 19, 37, 4000]) {
    const datagram = udp('203.0.113.5', '192.0.2.1', 7);
    const from = { ...datagram, udp: { sourcePort: port, destinationPort: 7 } };
    assert.deepEqual(await leaving(from), [], `from port ${port}`);
  }
});

test('a real client reads its datagram back, of both families, local and routed', async (t) => {
  const made = await network(
    t,
    'version: 1\nchains:\n  ingress:\n    on: wan\n    rules:\n      - { udp: 7, do: echo }\n',
  );
  for (const offload of ['on', 'off']) {
    await made.client.run('ethtool', '-K', 'out', 'tx', offload);
    for (const address of families.flatMap((family) => [host[family], dark[family]])) {
      const to = address.includes(':') ? `UDP6:[${address}]:7` : `UDP4:${address}:7`;
      const isBack = async () => (await echoed(made.client, to)) === 'hello';
      await until(`an answer of ${address}, offload ${offload}`, isBack, 10_000);
    }
  }
  const { stdout } = await made.client.run('nstat', '-asz', 'UdpInCsumErrors', 'Udp6InCsumErrors');
  assert.match(stdout, /UdpInCsumErrors +0 /);
});
