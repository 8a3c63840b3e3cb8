/** DHCPMAC through the real kernel: forwarded and bridged messages, with real checksums and ones that are still to be made. Needs root. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { renderRuleset } from '../../../src/nft/render.js';
import { encodePacket, type Packet } from '../../../src/wire/packet.js';
import { link, namespace, until } from '../namespace.js';
import { compiled, udp } from '../scratch-world.js';
import { type Seen, targetBed } from './bed.js';

const { leaving, policy } = await targetBed({ after });

/** A DHCP message with this client hardware address. */
function dhcp(source: string, destination: string, port: 67 | 68, mac: string): Packet {
  const message = Buffer.alloc(300);
  Buffer.from(mac.replaceAll(':', ''), 'hex').copy(message, 28);
  return udp(source, destination, port, message);
}

test('DHCPMAC exchanges the prefix in both directions and keeps the rest and the checksum', async () => {
  for (const [length, old, fresh, mac, wanted] of [
    [24, '00:50:56:00:00:00', 'ab:cd:ef:00:00:00', '00:50:56:12:34:56', 'ab:cd:ef:12:34:56'],
    [48, '00:50:56:12:34:56', '02:00:00:00:00:01', '00:50:56:12:34:56', '02:00:00:00:00:01'],
    [20, '00:50:50:00:00:00', 'ff:ff:f0:00:00:00', '00:50:56:12:34:56', 'ff:ff:f6:12:34:56'],
  ] as const) {
    for (const port of [67, 68] as const) {
      await policy('forward', `{ udp: ${port}, dhcpmac: ${old}/${length}, do: dhcpmac to ${fresh}/${length} }`);
      const read = ({ bytes }: Seen) =>
        bytes
          .subarray(56, 62)
          .toString('hex')
          .replaceAll(/..(?!$)/g, '$&:');
      const seen = await leaving(dhcp('192.0.2.9', '198.51.100.9', port, mac));
      assert.deepEqual(seen.map(read), [wanted], `/${length} port ${port}`);
      assert.equal(seen[0]?.packet.udp?.destinationPort, port);
      const other = await leaving(dhcp('192.0.2.9', '198.51.100.9', port, '0a:00:00:00:00:01'));
      assert.deepEqual(other.map(read), ['0a:00:00:00:00:01']);
      const plain = encodePacket(dhcp('192.0.2.9', '198.51.100.9', port, mac));
      plain.writeUInt16BE(0, 26);
      const without = await leaving(plain);
      assert.deepEqual([without[0]?.bytes.readUInt16BE(26), without.map(read)], [0, [wanted]]);
    }
  }
});

test('DHCPMAC exchanges the prefix in bridged messages, and their receiver finds the checksum right', async (t) => {
  const [guest, bridge, server] = [await namespace(t), await namespace(t), await namespace(t)];
  const folder = mkdtempSync(join(tmpdir(), 'postern-dhcpmac-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await link([guest, 'eth0', '192.0.2.10/24'], [bridge, 'vba']);
  await link([server, 'eth0', '192.0.2.20/24'], [bridge, 'vbb']);
  await bridge.run('ip', 'link', 'add', 'br0', 'type', 'bridge');
  for (const device of ['vba', 'vbb']) await bridge.run('ip', 'link', 'set', device, 'master', 'br0');
  await bridge.run('ip', 'link', 'set', 'br0', 'up');
  const plan = compiled(`version: 1
chains:
  forward:
    rules:
      - { in: vba, udp: 67, dhcpmac: 00:50:56:00:00:00/24, do: dhcpmac to ab:cd:ef:00:00:00/24 bridged }
`);
  await bridge.nft(renderRuleset(plan.ruleset));
  for (const offload of ['on', 'off']) {
    for (const space of [guest, server]) await space.run('ethtool', '-K', 'eth0', 'tx', offload);
    for (const [mac, wanted] of [
      ['005056123456', 'abcdef123456'],
      ['0a0000000001', '0a0000000001'],
    ] as const) {
      const file = join(folder, `${offload}-${mac}`);
      const receiver = server.start('socat', ['-u', 'UDP-RECV:67', `OPEN:${file},creat`]);
      const message = Buffer.alloc(300);
      Buffer.from(mac, 'hex').copy(message, 28);
      const send = () =>
        guest.start('socat', ['-u', '-', 'UDP-SENDTO:192.0.2.20:67,sourceport=68'], { input: message });
      const received = async (): Promise<boolean> => {
        await send();
        return sizeOf(file) >= message.length;
      };
      await until(`offload ${offload}: a message of ${mac}`, received, 10_000);
      receiver.kill('SIGKILL');
      await receiver;
      assert.equal(readFileSync(file).subarray(28, 34).toString('hex'), wanted, `offload ${offload}`);
    }
  }
  const { stdout } = await server.run('nstat', '-asz', 'UdpInCsumErrors');
  assert.match(stdout, /UdpInCsumErrors +0 /);
});

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
