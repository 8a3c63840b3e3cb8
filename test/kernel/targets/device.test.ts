/** Devices of an ingress chain that go, come back and change their MAC, under a running daemon. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execa } from 'execa';
import { DaemonBed } from '../daemon-bed.js';
import { link, type Namespace, namespace, until } from '../namespace.js';
import { echoed } from './trap-bed.js';

const policy = `version: 1
tables: { bad: { timeout: 1h } }
chains:
  ingress:
    on: [wan, dmz]
    rules:
      - { udp: 7, do: { echo: { limit: off } } }
  input:
    rules:
      - { from: <bad>, do: drop }
`;
const addresses = { 4: ['192.0.2.2/24', '192.0.2.1/24'], 6: ['2001:db8::2/64', '2001:db8::1/64'] } as const;

/** As long as a busy machine may need. */
const soonMs = 30_000;

async function plug(client: Namespace, firewall: Namespace, device: string): Promise<void> {
  await link(
    [client, `to-${device}`, addresses[4][0], addresses[6][0]],
    [firewall, device, addresses[4][1], addresses[6][1]],
  );
}

test('a device that goes is told, all else goes on, and it answers again when it is back, with a new MAC, too', async (t) => {
  const bed = await DaemonBed.open(t, policy);
  const [near, far] = [await namespace(t), await namespace(t)];
  await plug(near, bed.space, 'wan');
  await link([far, 'to-dmz', '198.51.100.2/24'], [bed.space, 'dmz', '198.51.100.1/24']);
  const daemon = await bed.start();
  const missing = async (): Promise<string | undefined> => {
    const { stdout } = await execa('curl', ['-s', '--unix-socket', bed.socket, 'http://localhost/metrics']);
    return /^postern_ingress_device_missing.* (\d+)$/m.exec(stdout)?.[1];
  };
  const answers = (what: string) =>
    until(
      what,
      async () =>
        (await echoed(near, 'UDP4:192.0.2.1:7')) === 'hello' &&
        (await echoed(near, 'UDP6:[2001:db8::1]:7')) === 'hello',
      soonMs,
    );
  await answers('the trap answers');
  assert.notEqual(await missing(), '1');

  await bed.space.run('ip', 'link', 'del', 'wan');
  await until('the metric tells of it', async () => (await missing()) === '1', soonMs);
  assert.match(daemon.log(), /wan isn't there or has no MAC/);
  await until('the other device answers', async () => (await echoed(far, 'UDP4:198.51.100.1:7')) === 'hello', soonMs);
  const added = await bed.postern('table', 'add', 'bad', '203.0.113.9');
  assert.equal(added.status, 0, added.err);

  await plug(near, bed.space, 'wan');
  await answers('the device that is back answers');
  await until('the metric is quiet', async () => (await missing()) !== '1', soonMs);

  await bed.space.run('ip', 'link', 'set', 'wan', 'address', '02:00:00:00:77:01');
  await near.run('ip', 'neigh', 'flush', 'all');
  await answers('a device with another MAC answers');
  await until(
    'the map has the new MAC',
    async () => (await bed.space.list('list', 'map', 'netdev', 'postern', 'i_macs')).includes('02:00:00:00:77:01'),
    soonMs,
  );
});

test('a device that is not there yet is no error: it answers when it comes', async (t) => {
  const bed = await DaemonBed.open(t, policy);
  const daemon = await bed.start();
  assert.match(daemon.log(), /wan isn't there or has no MAC/);
  const near = await namespace(t);
  await plug(near, bed.space, 'wan');
  await until('the trap answers', async () => (await echoed(near, 'UDP4:192.0.2.1:7')) === 'hello', soonMs);
});
