/** A client before a router with traps, and what the client sees of them. Needs root. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import type { ManifestSet } from '../../../src/compiler/plan.js';
import { deviceMacs, macChanges } from '../../../src/engine/device-macs.js';
import { type ResponderSpec, responderDuty } from '../../../src/extensions/responder.js';
import { openKernel } from '../../../src/kernel/open.js';
import { openPackets } from '../../../src/kernel/packets.js';
import { forward, link, type Namespace, namespace } from '../namespace.js';
import { compiled } from '../scratch-world.js';

export const host = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
export const dark = { 4: '198.51.100.77', 6: '2001:db8:1::77' } as const;
export const families = [4, 6] as const;

export interface Network {
  readonly client: Namespace;
  readonly firewall: Namespace;
}

/** A client before a router with this policy, and the daemon's responder in it. */
export async function network(t: TestContext, policy: string, daemon = true): Promise<Network> {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link([client, 'out', '192.0.2.2/24', '2001:db8::2/64'], [firewall, 'wan', '192.0.2.1/24', '2001:db8::1/64']);
  await client.run('ip', 'route', 'add', '198.51.100.0/24', 'via', '192.0.2.1');
  await client.run('ip', 'route', 'add', '2001:db8:1::/64', 'via', '2001:db8::1');
  await forward(firewall);
  // The dark network is routed on, to nobody.
  await firewall.run('ip', 'link', 'add', 'dark', 'type', 'veth', 'peer', 'name', 'night');
  await firewall.run('ip', 'address', 'add', '198.51.100.1/24', 'dev', 'dark');
  await firewall.run('ip', 'address', 'add', '2001:db8:1::1/64', 'dev', 'dark', 'nodad');
  for (const device of ['dark', 'night']) await firewall.run('ip', 'link', 'set', device, 'up');
  const plan = compiled(policy);
  const kernel = await openKernel({ netns: firewall.name });
  t.after(() => kernel.close());
  await kernel.load(plan, undefined);
  await bringMacs(plan.manifest.sets, Buffer.from((await macOf(firewall)).replaceAll(':', ''), 'hex'), kernel);
  const duty = plan.duties.find(({ kind }) => kind === responderDuty);
  if (!daemon || duty?.nflogGroup === undefined) return { client, firewall };
  const packets = openPackets({ namespace: firewall.name, event: () => {} });
  t.after(() => packets.close());
  await packets.setDuties([
    {
      name: responderDuty,
      group: duty.nflogGroup,
      module: new URL('../../../src/services/responder/duty.js', import.meta.url).href,
      spec: {},
      copyBytes: 128,
      replies: { perSecond: 10_000, burst: 10_000 },
      replyMark: (duty.spec as ResponderSpec).mark,
    },
  ]);
  return { client, firewall };
}

export async function macOf(firewall: Namespace): Promise<string> {
  const { stdout } = await firewall.run('ip', '-j', 'link', 'show', 'wan');
  return (JSON.parse(stdout) as { address: string }[])[0]!.address;
}

async function bringMacs(
  sets: readonly ManifestSet[],
  mac: Uint8Array,
  kernel: Awaited<ReturnType<typeof openKernel>>,
): Promise<void> {
  for (const [index, { role }] of sets.entries()) {
    if (role.kind !== 'device-macs') continue;
    await kernel.change(macChanges(index, deviceMacs(role, new Map([['wan', { mac }]]))));
  }
}

/** Connections of the client to the port that stand, with the bytes that wait to be sent. */
export async function standing({ client }: Network, port: number): Promise<number[]> {
  const { stdout } = await client.run('ss', '-Htn', 'state', 'established', 'dport', '=', `:${port}`);
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [Number(line.trim().split(/\s+/)[1])]));
}

/** Opens a connection, sends a line and waits. */
export function talk({ client }: Network, address: string, port: number): void {
  client.start('bash', ['-c', `exec 3<>/dev/tcp/${address}/${port} && echo hello >&3 && sleep 30`]);
}

/** What conntrack remembers of the port. */
export async function remembered({ firewall }: Network, port: number): Promise<string> {
  const { stdout } = await firewall.run('conntrack', '-L', '-p', 'tcp', '--dport', String(port));
  const six = await firewall.run('conntrack', '-L', '-f', 'ipv6', '-p', 'tcp', '--dport', String(port));
  return stdout + six.stdout;
}

const scans = ['-sS', '-sT', '-sF', '-sX', '-sN'] as const;
export type Scan = (typeof scans)[number];

/** What nmap sees of ports, of both families and by each of its scans; skips the test where there is no nmap. */
export async function scanned(
  t: TestContext,
  { client }: Network,
  ports: readonly number[],
  seen: (port: number, scan: Scan) => string,
): Promise<void> {
  if (spawnSync('nmap', ['--version']).error !== undefined) {
    t.skip('nmap is not installed here');
    return;
  }
  for (const family of families) {
    for (const scan of scans) {
      const options = [
        ...(family === 6 ? ['-6'] : []),
        scan,
        '-Pn',
        '-n',
        '-T4',
        '--max-retries',
        '2',
        '-p',
        ports.join(),
        host[family],
      ];
      const { stdout } = await client.run('nmap', ...options);
      for (const port of ports) {
        assert.match(stdout, new RegExp(`^${port}/tcp +${seen(port, scan)} `, 'm'), `${scan} ${port}\n${stdout}`);
      }
    }
  }
}

/** Scans that begin a connection. */
export const opens = (scan: Scan): boolean => scan === '-sS' || scan === '-sT';
/** No answer at all to a segment that begins nothing. */
export const silent = 'open\\|filtered';

/** What comes back of a datagram within half a second; `UDP4:192.0.2.1:7` is where it goes. */
export async function echoed({ start }: Namespace, to: string): Promise<string> {
  const { stdout } = await start('socat', ['-t0.5', '-', to], { input: 'hello' });
  return String(stdout);
}
