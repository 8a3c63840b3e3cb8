/** Traps against real clients, the responder among them. Needs root. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import type { ManifestSet } from '../../src/compiler/plan.js';
import { deviceMacs, macChanges, macElements } from '../../src/engine/device-macs.js';
import { type ResponderSpec, responderDuty } from '../../src/extensions/responder.js';
import { openKernel } from '../../src/kernel/open.js';
import { openPackets } from '../../src/kernel/packets.js';
import { forward, link, type Namespace, namespace, until } from './namespace.js';
import { compiled } from './scratch-world.js';

const host = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
const dark = { 4: '198.51.100.77', 6: '2001:db8:1::77' } as const;
const families = [4, 6] as const;

interface Network {
  readonly client: Namespace;
  readonly firewall: Namespace;
}

/** A client before a router with this policy, and the daemon's responder in it. */
async function network(t: TestContext, policy: string, daemon = true): Promise<Network> {
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
      module: new URL('../../src/services/responder/duty.js', import.meta.url).href,
      spec: {},
      copyBytes: 128,
      replies: { perSecond: 10_000, burst: 10_000 },
      replyMark: (duty.spec as ResponderSpec).mark,
    },
  ]);
  return { client, firewall };
}

async function macOf(firewall: Namespace): Promise<string> {
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

const isUp = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Connections of the client to the port that stand, with the bytes that wait to be sent. */
async function standing({ client }: Network, port: number): Promise<number[]> {
  const { stdout } = await client.run('ss', '-Htn', 'state', 'established', 'dport', '=', `:${port}`);
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [Number(line.trim().split(/\s+/)[1])]));
}

/** Opens a connection, sends a line and waits. */
function talk({ client }: Network, address: string, port: number): void {
  client.start('bash', ['-c', `exec 3<>/dev/tcp/${address}/${port} && echo hello >&3 && sleep 30`]);
}

/** What conntrack remembers of the port. */
async function remembered({ firewall }: Network, port: number): Promise<string> {
  const { stdout } = await firewall.run('conntrack', '-L', '-p', 'tcp', '--dport', String(port));
  const six = await firewall.run('conntrack', '-L', '-f', 'ipv6', '-p', 'tcp', '--dport', String(port));
  return stdout + six.stdout;
}

const everywhere = `version: 1
chains:
  ingress:
    on: wan
    rules:
      - { tcp: 1023, do: tarpit }
      - { tcp: 1025, do: delude }
      - { tcp: 1026, do: { chaos: { delude: true, reject_percentage: 0%, delude_percentage: 100% } } }
      - { tcp: 1027, do: { chaos: { tarpit: true, reject_percentage: 100% } } }
  input:
    rules:
      - { state: [established, related], do: accept }
      - { tcp: 2023, do: tarpit }
      - { tcp: 2025, do: delude }
      - { tcp: 2024, do: { tarpit: { mode: honeypot } } }
  forward:
    rules:
      - { tcp: 2023, do: tarpit }
      - { tcp: 2025, do: delude }
  output:
    policy: drop
    rules:
      - { proto: icmp, do: accept }
`;

test('TARPIT holds clients at ingress and behind, of both families, local and routed, and leaves nothing in conntrack', async (t) => {
  const made = await network(t, everywhere);
  for (const [port, form] of [
    [1023, 'ingress'],
    [2023, 'input and forward'],
  ] as const) {
    for (const address of families.flatMap((family) => [host[family], dark[family]])) talk(made, address, port);
    await until(`four clients are held (${form})`, async () => (await standing(made, port)).length === 4, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const waiting = await standing(made, port);
    assert.deepEqual(waiting, [6, 6, 6, 6], `${form}: what they sent waits, and is never taken`);
    assert.equal(await remembered(made, port), '', form);
  }
});

test('DELUDE takes the connection and resets it', async (t) => {
  const made = await network(t, everywhere);
  for (const port of [1025, 2025]) {
    for (const address of families.flatMap((family) => [host[family], dark[family]])) {
      // The reset may be there before connect() returns.
      const script = `exec 3<>/dev/tcp/${address}/${port}; sleep 0.3; read -t 3 <&3; echo hello >&3`;
      const { stderr } = await made.client.start('bash', ['-c', script]);
      assert.match(String(stderr), /reset by peer|Broken pipe/, `${isUp(address)} ${port}`);
      assert.deepEqual(await standing(made, port), []);
      assert.equal(await remembered(made, port), '');
    }
  }
});

test('the honeypot takes what is sent', async (t) => {
  const made = await network(t, everywhere);
  for (const family of families) {
    const script = `exec 3<>/dev/tcp/${host[family]}/2024 && head -c 400 /dev/zero >&3 && sleep 20`;
    made.client.start('bash', ['-c', script]);
  }
  await until('both clients are taken', async () => (await standing(made, 2024)).length === 2, 10_000);
  await until('and what they sent', async () => (await standing(made, 2024)).some((bytes) => bytes === 0), 15_000);
});

test('without the daemon a trap drops what only it could answer', async (t) => {
  const made = await network(t, everywhere, false);
  const { exitCode } = await made.client.start('timeout', ['2', 'bash', '-c', `exec 3<>/dev/tcp/${host[6]}/2023`]);
  assert.equal(exitCode, 124, 'nothing came back');
});

test('a device that goes away and comes back answers again', async (t) => {
  const made = await network(t, everywhere);
  talk(made, host[4], 1023);
  await until('held', async () => (await standing(made, 1023)).length === 1);
  await made.client.run('ip', 'link', 'del', 'out');
  await link([made.client, 'out', '192.0.2.2/24'], [made.firewall, 'wan', '192.0.2.1/24']);
  await made.firewall.nft(
    `flush map netdev postern i_macs\nadd element netdev postern i_macs { "wan" : ${await macOf(made.firewall)} }\n`,
  );
  const script = `exec 3<>/dev/tcp/${host[4]}/1023 && echo open`;
  const opened = await made.client.run('timeout', '5', 'bash', '-c', script);
  assert.equal(opened.stdout, 'open');
});

test('the map of MACs is written in one transaction, and read back as it is', async (t) => {
  const { firewall } = await network(t, everywhere);
  const listed = await firewall.list('list', 'map', 'netdev', 'postern', 'i_macs');
  assert.match(listed, new RegExp(`"wan" : ${await macOf(firewall)}`));
  assert.deepEqual(macElements(new Map([['wan', Uint8Array.of(2, 0, 0, 0, 0, 9)]])), [
    { value: 'wan', data: '02:00:00:00:00:09' },
  ]);
});

const ports = '1023,1025,1026,1027,2023,2025';
const scans = ['-sS', '-sT', '-sF', '-sX', '-sN'] as const;

test('nmap sees what the traps pretend', async (t) => {
  const found = spawnSync('nmap', ['--version']);
  if (found.error !== undefined) {
    t.skip('nmap is not installed here');
    return;
  }
  const made = await network(t, everywhere);
  for (const family of families) {
    for (const scan of scans) {
      const options = [...(family === 6 ? ['-6'] : []), scan, '-Pn', '-n', '-p', ports, host[family]];
      const { stdout } = await made.client.run('nmap', ...options);
      const open = scan === '-sS' || scan === '-sT';
      // Behind ingress only the daemon answers what is no SYN, and none runs here: those segments are dropped.
      const silent = 'open\\|filtered';
      const seen = { 1023: silent, 1025: 'closed', 1026: 'closed', 2023: silent, 2025: silent };
      assert.match(stdout, /^1027\/tcp +filtered /m, stdout);
      for (const [port, state] of Object.entries(seen)) {
        assert.match(stdout, new RegExp(`^${port}/tcp +${open ? 'open' : state} `, 'm'), stdout);
      }
    }
  }
});
