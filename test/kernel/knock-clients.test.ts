/** Clients with keys of their own, over a daemon: from behind address translation, with ports, prefixes and replies. Needs root. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { renderUnicodeCompact } from 'uqr';
import { DaemonBed } from './daemon-bed.js';
import { forward, link, type Namespace, namespace, until } from './namespace.js';

const program = fileURLToPath(new URL('../../src/cli/postern.cjs', import.meta.url));
const bed = await DaemonBed.open(
  { after },
  `
version: 1
interfaces: { wan: wan0 }
knocks:
  vpn: { spa2: 4003, clients: { file: vpn.json }, autoclose: 4h, ipv4_prefixes: [24], ipv6_prefixes: [64], reply: true }
  quiet: { spa2: 4005, clients: { file: quiet.json }, autoclose: 4h }
  old: { spa: 4000, open_secret: { file: open }, close_secret: { file: close } }
chains:
  input:
    policy: drop
    rules:
      - { state: [established, related], do: accept }
      - { tcp: [22, 23], knock: vpn, do: accept }
      - { tcp: 24, knock: quiet, do: accept }
      - { tcp: 25, knock: old, do: accept }
`,
);
const gate = bed.space;
/** A client, what stands between it and the world, and a neighbour of that. */
const [home, router] = [await namespace({ after }), await namespace({ after })];
await link([home, 'eth0', '198.18.0.2/24', '2001:db8:2::2/64'], [router, 'lan0', '198.18.0.1/24', '2001:db8:2::1/64']);
await link(
  [router, 'wan0', '198.51.100.2/24', '198.51.100.3/24', '2001:db8:1::2/64', '2001:db8:1::3/64'],
  [gate, 'wan0', '198.51.100.1/24', '2001:db8:1::1/64'],
);
await forward(router);
await home.run('ip', 'route', 'add', 'default', 'via', '198.18.0.1');
await home.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:2::1');
await router.nft(`
table inet nat {
  chain post {
    type nat hook postrouting priority 100
    oifname wan0 ip saddr 198.18.0.0/15 snat ip to 198.51.100.2
    oifname wan0 ip6 saddr 2001:db8:2::/48 snat ip6 to 2001:db8:1::2
  }
}
`);
for (const port of [22, 23, 24, 25]) {
  gate.start('socat', [`TCP6-LISTEN:${port},ipv6only=0,fork,reuseaddr`, 'SYSTEM:true']);
}
for (const name of ['open', 'close']) writeFileSync(join(bed.folder, name), `${name}s3cret\n`, { mode: 0o600 });

const clientFile = (name: string) => join(bed.folder, name);
async function enrol(knock: string, name: string, ...more: readonly string[]) {
  const out = ['--out', clientFile(name), '--plain'];
  const done = await bed.postern(
    'knock',
    'enrol',
    knock,
    name,
    '--policy',
    bed.policy,
    '--host',
    '198.51.100.1',
    ...out,
    ...more,
  );
  assert.equal(done.status, 0, done.err);
}
await enrol('vpn', 'laptop');
await enrol('vpn', 'phone', '--ports', 'tcp/23,udp/51820', '--seconds', '600');
await enrol('quiet', 'desk');
const daemon = await bed.start();

interface Sent {
  readonly status: number;
  readonly out: string;
}
const send = async (from: Namespace, ...args: readonly string[]): Promise<Sent> => {
  const { exitCode = -1, stdout } = await from.start(process.execPath, [program, 'knock', 'send', ...args]);
  return { status: exitCode, out: String(stdout) };
};
const takes = (from: Namespace, host: string, port: number, source?: string) => {
  const bind = source === undefined ? '' : `,bind=${source}`;
  return from.run('socat', '-u', '/dev/null', `TCP:${host}:${port},connect-timeout=0.5${bind}`).then(
    () => true,
    () => false,
  );
};
const list = async (knock: string) => (await bed.postern('knock', 'list', knock)).out;

test('enrolment prints the client file and its QR code, keeps both files for their owner, and refuses a name twice', async () => {
  const clients = clientFile('printed.json');
  const args = ['knock', 'enrol', 'vpn', 'tablet', '--host', 'gate.example', '--clients', clients, '--port', '4003'];
  const { status, out, err } = await bed.postern(...args);
  assert.equal(status, 0, err);
  const [line = '', ...code] = out.split('\n');
  const { key, ...rest } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(rest, { postern: 2, host: 'gate.example', port: 4003, knock: 'vpn', client: 'tablet' });
  assert.equal(Buffer.from(String(key), 'base64url').length, 32);
  assert.equal(code.join('\n').trimEnd(), renderUnicodeCompact(line).trimEnd(), 'the code is of the line');
  assert.match(err, /postern reload/);
  const again = await bed.postern(...args);
  assert.equal(again.status, 4);
  assert.match(again.err, /has a client 'tablet'/);
});

test('from behind address translation a client opens the door to the address that is seen, in both families', async () => {
  for (const [host, seen, other] of [
    ['198.51.100.1', '198.51.100.2', '198.51.100.3'],
    ['2001:db8:1::1', '2001:db8:1::2', '2001:db8:1::3'],
  ] as const) {
    const door = host.includes(':') ? `[${host}]` : host;
    const { status, out } = await send(home, host, '--client', clientFile('laptop'), '--check', `${door}:22`);
    assert.equal(status, 0, out);
    assert.match(out, /^granted until 20\S+Z\n.*:22 takes connections/);
    assert.match(await list('vpn'), new RegExp(`^vpn +${seen} +spa2 laptop +20`, 'm'));
    assert.equal(await takes(router, door, 22, other.includes(':') ? `[${other}]` : other), false, 'a neighbour');
    const closed = await send(home, host, '--client', clientFile('laptop'), '--close', '--check', `${door}:22`);
    assert.deepEqual([closed.status, closed.out.split('\n')[0]], [0, 'closed']);
  }
  const old = ['--spa', '4000', '--secret-file', clientFile('open'), '--check', '198.51.100.1:25'];
  assert.equal((await send(home, '198.51.100.1', ...old)).status, 1, 'the original signs an address that nobody sees');
});

test('a client that was enrolled for single ports comes in there alone, and no longer than it may', async () => {
  const { status, out } = await send(home, '-', '--client', clientFile('phone'), '--for', '2h');
  assert.equal(status, 0, out);
  await until('its port is open', () => takes(home, '198.51.100.1', 23));
  assert.equal(await takes(home, '198.51.100.1', 22), false);
  const [, left] = /autoclose_time=(\d+)/.exec((await bed.postern('knock', 'list', 'vpn', '--proc')).out) ?? [];
  assert.ok(Number(left) > 500 && Number(left) <= 600, left);
  assert.match(await list('vpn'), /spa2 phone.*tcp\/23 udp\/51820/);
  await send(home, '-', '--client', clientFile('phone'), '--close');
  assert.equal(await takes(home, '198.51.100.1', 23), false);
});

test('a prefix is let in where the policy allows it, and no wider', async () => {
  const wide = await send(home, '-', '--client', clientFile('laptop'), '--prefix', '16');
  assert.deepEqual([wide.status, /no answer/.test(wide.out)], [1, true]);
  assert.equal((await send(home, '-', '--client', clientFile('laptop'), '--prefix', '24')).status, 0);
  assert.match(await list('vpn'), /^vpn +198\.51\.100\.0\/24 +spa2 laptop/m);
  await until('the door is open to a neighbour', () => takes(router, '198.51.100.1', 22, '198.51.100.3'));
  assert.equal((await bed.postern('knock', 'revoke', 'vpn', '198.51.100.0/24')).status, 0);
  assert.equal(await takes(router, '198.51.100.1', 22, '198.51.100.3'), false);
});

test('without "reply" nothing comes back, though the door opens', async () => {
  const dump = router.start('tcpdump', ['-ni', 'wan0', '-l', '-Q', 'in', 'udp or icmp']);
  await sleep(1000);
  const { status, out } = await send(home, '-', '--client', clientFile('desk'), '--reply');
  assert.deepEqual([status, /no answer/.test(out)], [1, true]);
  await until('the door is open', () => takes(home, '198.51.100.1', 24));
  dump.kill('SIGTERM');
  assert.equal((await dump).stdout, '');
});

test('a datagram that was seen on the way opens nothing when somebody else sends it again', async () => {
  const dump = router.start('tcpdump', ['-ni', 'wan0', '-l', '-c1', '-w', clientFile('seen'), 'udp dst port 4003']);
  await sleep(1000);
  assert.equal((await send(home, '-', '--client', clientFile('laptop'))).status, 0);
  await dump;
  const captured = readFileSync(clientFile('seen')).subarray(-88);
  const replay = { input: captured };
  await router.start('socat', ['-u', 'STDIN', 'UDP4:198.51.100.1:4003,bind=198.51.100.3'], replay);
  await until('it is refused', () => daemon.log().includes('refused 198.51.100.3: replay'), 20_000);
  assert.doesNotMatch(await list('vpn'), /198\.51\.100\.3/);
});

test('the end of a grant closes the door, and is told of', async () => {
  await send(home, '-', '--client', clientFile('laptop'), '--close');
  assert.equal((await send(home, '-', '--client', clientFile('laptop'), '--for', '2s')).status, 0);
  await until('it is over', () => daemon.log().includes('knock vpn: the time of 198.51.100.2 is over'), 20_000);
  assert.equal(await takes(home, '198.51.100.1', 22), false);
  assert.doesNotMatch(await list('vpn'), /198\.51\.100\.2/);
});
