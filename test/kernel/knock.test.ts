/** Knocks and SYSRQ requests over a daemon in a namespace: real clients, real packets, restarts. Needs root. */

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import { link, namespace, until } from './namespace.js';

const main = fileURLToPath(new URL('../../src/cli/postern.cjs', import.meta.url));
const flooder = fileURLToPath(new URL('flood.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'postern-knock-'));
after(() => rmSync(folder, { recursive: true }));
const [policyFile, socket, state] = ['policy.yaml', 'api.sock', 'state'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
const secrets = { open: 'opens3cret', close: 'closes3cret', sysrq: 'passw0rd' };
for (const [name, secret] of Object.entries(secrets)) writeFileSync(join(folder, name), `${secret}\n`, { mode: 0o600 });
writeFileSync(
  policyFile,
  `
version: 1
interfaces: { wan: wan0 }
knocks:
  ssh: { ports: [4002, 4001, 4004], strict: true, time: 5s, autoclose: 1h }
  ftp: { spa: 4000, open_secret: { file: open }, close_secret: { file: close }, autoclose: 4h }
  vpn: { spa2: 4003, clients: { file: clients }, autoclose: 4h }
sysrq: { port: 9, from: [198.51.100.2, 2001:db8:1::2], password: { file: sysrq }, hash: sha256, keys: hs, limit: 100/1m, dry_run: true }
chains:
  input:
    policy: drop
    rules:
      - { tcp: 22, knock: ssh, do: accept }
      - { tcp: 21, knock: ftp, do: accept }
      - { tcp: 23, knock: vpn, do: accept }
`,
);

const outside = await namespace({ after });
const gate = await namespace({ after });
await link(
  [outside, 'eth0', '198.51.100.2/24', '198.51.100.3/24', '2001:db8:1::2/64'],
  [gate, 'wan0', '198.51.100.1/24', '2001:db8:1::1/64'],
);
await outside.run('ip', 'route', 'add', '198.18.0.0/15', 'dev', 'lo');
await gate.run('ip', 'route', 'add', 'default', 'via', '198.51.100.2');
for (const port of [21, 22, 23]) gate.start('socat', [`TCP6-LISTEN:${port},ipv6only=0,fork,reuseaddr`, 'SYSTEM:true']);

let daemon: ReturnType<typeof gate.start> | undefined;
async function start(): Promise<void> {
  daemon = gate.start(process.execPath, [main, 'run', '--policy', policyFile, '--state', state, '--socket', socket], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const started = daemon;
  let ended = false;
  started.finally(() => {
    ended = true;
  });
  await until(
    'the daemon answers',
    async () => {
      if (ended) throw new Error(`the daemon ended: ${(await started).stderr}`);
      const { exitCode } = await execa(process.execPath, [main, 'status', '--socket', socket], { reject: false });
      return exitCode === 0;
    },
    60_000,
  );
}
async function stop(): Promise<void> {
  daemon?.kill('SIGTERM');
  await daemon;
}
const postern = async (...args: readonly string[]) =>
  (await execa(process.execPath, [main, ...args], { env: { POSTERN_SOCKET: socket } })).stdout;
const client = (...args: readonly string[]) =>
  outside.run(process.execPath, main, ...args).then(
    () => 0,
    (error: { readonly exitCode?: number }) => error.exitCode,
  );
const takes = (host: string, port: number, from?: string) =>
  outside
    .run(
      'socat',
      '-u',
      '/dev/null',
      `TCP:${host}:${port},connect-timeout=0.5${from === undefined ? '' : `,bind=${from}`}`,
    )
    .then(
      () => true,
      () => false,
    );
/** As the original's tool makes it. */
const spa = (source: string, secret: string, minute = Math.floor(Date.now() / 60_000)) => {
  const message = Buffer.concat([addressBytes(parseAddress(source)), Buffer.alloc(4)]);
  message.writeUInt32LE(minute, message.length - 4);
  return `${createHmac('sha256', secret).update(message).digest('hex')}\n`;
};
const sendRaw = async (payload: string, from = '198.51.100.2', port = 4000) => {
  const sender = outside.start('socat', ['-u', '-b', '65507', 'STDIN', `UDP4:198.51.100.1:${port},bind=${from}`], {
    input: payload,
  });
  await sender;
};
async function results(metric: string): Promise<Record<string, number>> {
  const { stdout } = await execa('curl', ['-s', '--unix-socket', socket, 'http://localhost/metrics']);
  return Object.fromEntries(
    [...stdout.matchAll(new RegExp(`^${metric}\\{.*?result="([^"]+)".*?\\} (\\d+)`, 'gm'))].map(([, name, value]) => [
      name,
      Number(value),
    ]),
  );
}
/** Leaves enough of the minute for what follows. */
async function early(seconds: number): Promise<void> {
  const left = 60 - ((Date.now() / 1000) % 60);
  if (left < seconds) await sleep((left + 0.2) * 1000);
}

const enrolled = await execa(process.execPath, [
  ...[main, 'knock', 'enrol', 'vpn', 'laptop', '--clients', join(folder, 'clients')],
  ...['--host', '2001:db8:1::1', '--port', '4003', '--seconds', '600'],
]);
await start();
after(stop);

test('a sequence opens the door in both families, is listed, and survives a restart of the daemon', async () => {
  for (const [host, own] of [
    ['198.51.100.1', '198.51.100.2'],
    ['2001:db8:1::1', '2001:db8:1::2'],
  ] as const) {
    const door = host.includes(':') ? `[${host}]` : host;
    assert.equal(await takes(door, 22), false);
    assert.equal(
      await client('knock', 'send', host, '--ports', '4001,4002,4004', '--check', `${door}:22`),
      1,
      'wrong order',
    );
    assert.equal(await client('knock', 'send', host, 'ssh', '--policy', policyFile, '--check', `${door}:22`), 0);
    await until('the grant is noted', async () =>
      /^ssh +\S+ +sequence +20/m.test(await postern('knock', 'list', 'ssh')),
    );
    assert.match(await postern('knock', 'list', 'ssh'), new RegExp(`^ssh +${own} +sequence +20\\S+ +20`, 'm'));
  }
  const proc = await postern('knock', 'list', 'ssh', '--proc');
  assert.match(
    proc,
    /^src=198\.51\.100\.2 proto=TCP status=ALLOWED accepted_knock_count=3 autoclose_time=35\d\d \[secs\] $/m,
  );
  await stop();
  await start();
  assert.equal(await takes('198.51.100.1', 22), true);
  assert.match(await postern('knock', 'list', 'ssh'), /^ssh +198\.51\.100\.2 +sequence +20/m);
  assert.match(await postern('knock', 'revoke', 'ssh', '198.51.100.2'), /has to knock/);
  assert.equal(await takes('198.51.100.1', 22), false);
});

test('grants come back with what was left of them after the kernel has lost all', async () => {
  await stop();
  await gate.nft('flush ruleset');
  await start();
  assert.equal(await takes('[2001:db8:1::1]', 22), true);
  const proc = await postern('knock', 'list', 'ssh', '--proc');
  const [, left] = /src=2001:db8:1::2 .*autoclose_time=(\d+)/.exec(proc) ?? [];
  assert.ok(Number(left) > 3400 && Number(left) < 3600, proc);
});

/** The minute in which 198.51.100.2 opened ftp: once in it is enough. */
let openedIn: number | undefined;

test('a signed datagram of the original opens once; copies, wrong keys, wrong minutes and damage are refused', async (t) => {
  await early(40);
  const own = '198.51.100.2';
  const good = spa(own, secrets.open);
  const minute = Math.floor(Date.now() / 60_000);
  const wrong = [
    spa(own, 'guess'),
    spa(own, secrets.open, minute - 1),
    spa(own, secrets.open, minute + 1),
    spa('198.51.100.3', secrets.open),
    good.toUpperCase(),
  ];
  for (const payload of [...wrong, good.slice(0, 64), `${good}.`, '', 'x'.repeat(1400)]) await sendRaw(payload);
  await until('the wrong ones are counted', async () => (await results('postern_knocks_total')).bad === wrong.length);
  assert.equal(await takes('198.51.100.1', 21), false);
  await sendRaw(good, '198.51.100.3');
  assert.equal(await takes('198.51.100.1', 21), false, 'sent by a third party');
  await sendRaw(good);
  openedIn = minute;
  await until('it opens', () => takes('198.51.100.1', 21));
  await sendRaw(spa(own, secrets.close));
  await until('it closes', async () => !(await takes('198.51.100.1', 21)));
  await sendRaw(good);
  await until('the copy is counted', async () => (await results('postern_knocks_total')).replay === 1);
  await stop();
  await start();
  await sendRaw(good);
  await until('the copy is counted after a restart', async () => (await results('postern_knocks_total')).replay === 1);
  assert.equal(await takes('198.51.100.1', 21), false);
  t.diagnostic(`${wrong.length + 4} wrong datagrams, a third party and 2 copies refused, 1 good one taken`);
});

test('a client that was enrolled opens and closes its door, for as long as it may', async () => {
  const file = join(folder, 'laptop');
  const [line = '', ...code] = enrolled.stdout.split('\n');
  assert.ok(code.length > 20, 'a QR code');
  writeFileSync(file, line, { mode: 0o600 });
  const door = '[2001:db8:1::1]:23';
  assert.equal(await client('knock', 'send', '-', '--client', file, '--for', '1h', '--check', door), 0);
  assert.match(await postern('knock', 'list', 'vpn'), /^vpn +2001:db8:1::2 +spa2 laptop +20/m);
  const [, left] =
    /src=2001:db8:1::2 .*autoclose_time=(\d+)/.exec(await postern('knock', 'list', 'vpn', '--proc')) ?? [];
  assert.ok(Number(left) > 500 && Number(left) <= 600, left);
  assert.equal(await client('knock', 'send', '-', '--client', file, '--close', '--check', door), 0);
  assert.doesNotMatch(await postern('knock', 'list', 'vpn'), /laptop/);
});

test('nothing answers at the ports of knocks, whatever comes', async (t) => {
  const dump = outside.start('tcpdump', [
    '-ni',
    'eth0',
    '-l',
    '-Q',
    'in',
    'ip and src host 198.51.100.1 and (tcp or udp or icmp)',
  ]);
  await sleep(1000);
  let probes = 0;
  for (const port of [4000, 4001, 4002, 4003, 4004, 9]) {
    await takes('198.51.100.1', port);
    await sendRaw('probe', '198.51.100.3', port);
    probes += 2;
  }
  await sleep(500);
  dump.kill('SIGTERM');
  const { stdout } = await dump;
  assert.equal(stdout, '');
  t.diagnostic(`${probes} probes by TCP and UDP, 0 answers`);
});

/** What the flood test sends; a quiet machine manages more, one that is busy less. */
const flood = { perSecond: 400_000, seconds: 3 };

test('a true knock of somebody known opens while forged ones pour in, and memory stays flat', async (t) => {
  const own = '198.51.100.2';
  const minuteNow = () => Math.floor(Date.now() / 60_000);
  if (openedIn === undefined) {
    openedIn = minuteNow();
    await sendRaw(spa(own, secrets.open));
    await until('it opens', () => takes('198.51.100.1', 21));
    await postern('knock', 'revoke', 'ftp', own);
  }
  while (minuteNow() === openedIn) await sleep(200);
  await early(25);
  // nsenter becomes the program that it runs.
  const pid = daemon!.pid;
  const residentMb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
  // For its MAC: the ping itself is dropped.
  await outside.run('ping', '-c1', '-W1', '198.51.100.1').catch(() => {});
  const pour = async () => {
    const args = ['eth0', '198.51.100.1', '4000', String(flood.perSecond), String(flood.seconds)];
    const { stdout } = await outside.start(process.execPath, [flooder, ...args]);
    const [sent, seconds] = String(stdout).split(' ').map(Number) as [number, number];
    return `${sent} forged datagrams in ${seconds} s, ${Math.round(sent / seconds)} a second`;
  };
  const before = residentMb();
  const pouring = pour();
  await sleep(1000);
  await sendRaw(spa(own, secrets.open));
  // To start the sender takes long beside the flood; from here on it is the daemon's time.
  const sentAt = Date.now();
  t.diagnostic(await pouring);
  // The daemon's own note of it: on a busy machine it takes a client longer to look.
  const [, since = ''] = /^ftp +198\.51\.100\.2 +spa +(\S+)/m.exec(await postern('knock', 'list', 'ftp')) ?? [];
  const openedMs = Math.max(0, Date.parse(since) - sentAt);
  t.diagnostic(`a true knock opened in ${Math.round(openedMs)} ms`);
  assert.ok(Number.isFinite(openedMs), 'the daemon has noted no grant');
  await until('the door is open', () => takes('198.51.100.1', 21));
  const once = residentMb();
  t.diagnostic(await pour());
  const twice = residentMb();
  t.diagnostic(
    `resident memory ${[before, once, twice].map(Math.round).join(', ')} MB before, after one flood, after two`,
  );
  assert.ok(twice < before + 80, `${before} MB, then ${twice} MB`);
});

test('a SYSRQ request is checked, taken once, and told of in the audit log, also after a restart', async () => {
  const password = join(folder, 'sysrq');
  const now = Math.floor(Date.now() / 1000) + 1000;
  const send = (host: string, keys: string, sequence: number) =>
    client(
      'sysrq',
      'send',
      host,
      keys,
      '--password-file',
      password,
      '--hash',
      'sha256',
      '--sequence',
      String(sequence),
    );
  assert.equal(await send('198.51.100.1', 'hs', now), 0);
  assert.equal(await send('2001:db8:1::1', 's', now + 1), 0);
  assert.equal(await send('198.51.100.1', 's', now + 1), 0, 'replayed');
  assert.equal(await send('198.51.100.1', 'b', now + 2), 0, 'a key that is not allowed');
  const signed = `s,${now + 3},salt,`;
  const digest = createHash('sha256').update(`${signed}198.51.100.1,wrong`).digest('hex');
  await sendRaw(`${signed}${digest}\n`, '198.51.100.2', 9);
  await sendRaw(`${signed}${digest}\n`, '198.51.100.3', 9);
  const audit = () =>
    readFileSync(join(state, 'audit.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"op":"sysrq"'));
  await until('all are in the audit log', () => audit().length >= 5);
  const told = audit().map((line) => JSON.parse(line) as { detail: { result: string; keys?: string } });
  assert.deepEqual(
    told.map(({ detail }) => [detail.result, detail.keys]),
    [
      ['dry-run', 'hs'],
      ['dry-run', 's'],
      ['replayed', undefined],
      ['key', 'b'],
      ['bad-digest', undefined],
    ],
  );
  assert.doesNotMatch(audit().join(), /[0-9a-f]{64}/);
  await stop();
  await start();
  assert.equal(await send('198.51.100.1', 's', now + 2), 0);
  await until('it is in the audit log', () => audit().length >= 6);
  assert.match(audit().at(-1)!, /replayed/);
});
