import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openNft } from '../../src/kernel/nft.js';
import type { Line } from '../../src/nft/render.js';
import { namespace } from './namespace.js';

const space = await namespace({ after });
const nft = openNft({ netns: space.name });
const origin = { file: 'home.yaml', line: 12, column: 7 };
const lines = (...texts: readonly string[]): Line[] => texts.map((text) => ({ text }));

test('what is loaded is listed', async () => {
  await nft.load(lines('add table inet pn', 'table inet pn {', 'chain c {', 'drop', '}', '}'));
  const listing = await nft.list();
  assert.deepEqual(listing.tables, [{ family: 'inet', name: 'pn' }]);
  assert.deepEqual(listing.chains, [{ family: 'inet', table: 'pn', name: 'c', rules: 1 }]);
});

test('a check changes nothing', async () => {
  await nft.check(lines('add table inet checked'));
  assert.ok(!(await nft.list()).tables.some(({ name }) => name === 'checked'));
});

test('a refusal of the kernel names the policy line, and nothing has changed', async () => {
  const bad = [
    ...lines('add table inet bad', 'table inet bad {', 'chain c {'),
    { text: 'jump nowhere', origin },
    ...lines('}', '}'),
  ];
  const expected = {
    name: 'PosternError',
    code: 'kernel',
    message: /^home\.yaml:12:7: .*`jump nowhere`: No such file or directory; nothing was changed$/,
  };
  await assert.rejects(nft.load(bad), expected);
  await assert.rejects(nft.check(bad), expected);
  assert.ok(!(await nft.list()).tables.some(({ name }) => name === 'bad'));
});

test('a text that nft does not understand names the policy line, too', async () => {
  const bad = [
    ...lines('add table inet bad', 'table inet bad {', 'chain c {'),
    { text: 'tcp dport bogus', origin },
    ...lines('}', '}'),
  ];
  await assert.rejects(nft.check(bad), { code: 'kernel', message: /^home\.yaml:12:7: .*`tcp dport bogus`/ });
});

test('a set that is too small says that it is full', async () => {
  const set = ['add table inet bad', 'add set inet bad s { type ipv4_addr; size 1; }'];
  const elements = { text: 'add element inet bad s { 192.0.2.1, 192.0.2.2 }', origin };
  await assert.rejects(nft.load([...lines(...set), elements]), {
    code: 'full',
    message: /^home\.yaml:12:7: .*larger size/,
  });
});

test('what cannot work at its hook says so', async () => {
  const chain = ['add table inet bad', 'add chain inet bad c { type filter hook output priority 0; }'];
  const rule = { text: 'add rule inet bad c fib daddr . iif type local drop', origin };
  await assert.rejects(nft.load([...lines(...chain), rule]), { code: 'unsupported', message: /^home\.yaml:12:7: / });
});

test('all complaints of nft are kept for programs', async () => {
  const bad = lines('delete table inet nope1', 'delete table inet nope2');
  await assert.rejects(nft.load(bad), (error: { details: { complaints: { text: string }[] } }) => {
    assert.ok(error.details.complaints.length >= 1);
    assert.equal(error.details.complaints[0]?.text, 'delete table inet nope1');
    return true;
  });
});

test('a namespace that does not exist is not found', async () => {
  await assert.rejects(openNft({ netns: 'pt-nosuch' }).list(), { code: 'not-found', message: /pt-nosuch/ });
});

test('a name that would leave the folder of namespaces is refused', () => {
  assert.throws(() => openNft({ netns: '../../proc/1/ns/net' }), { code: 'invalid' });
});

const folder = await mkdtemp(join(tmpdir(), 'postern-nft-'));
after(() => rm(folder, { recursive: true }));
async function stub(name: string, script: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

test('a missing nft says how to get it', async () => {
  for (const netns of [undefined, space.name]) {
    const missing = openNft({ command: join(folder, 'nosuch'), ...(netns && { netns }) });
    await assert.rejects(missing.list(), { code: 'system', message: /install it: apt-get install nftables/ });
  }
});

test('an nft that hangs is stopped at its time limit', async () => {
  const command = await stub('hangs', 'exec sleep 60');
  await assert.rejects(openNft({ command, timeoutMs: 200 }).load(lines('x')), { code: 'timeout', message: /0\.2 s/ });
});

test('an nft that crashes is no refusal', async () => {
  const command = await stub('crashes', 'kill -SEGV $$');
  await assert.rejects(openNft({ command }).load(lines('x')), { code: 'system', message: /SIGSEGV/ });
});

test('an nft that fails without a place or a word is reported with what it said', async () => {
  await assert.rejects(openNft({ command: await stub('mute', 'exit 1') }).load(lines('x')), {
    code: 'kernel',
    message: /nothing/,
  });
  const odd = await stub('odd', 'echo "out of cheese" >&2; exit 1');
  await assert.rejects(openNft({ command: odd }).load(lines('x')), { code: 'kernel', message: /out of cheese/ });
});

for (const said of [
  'Operation not permitted (you must be root)',
  'netlink: Error: cache initialization failed: Operation not permitted',
  '/dev/stdin:1:1-2: Error: Could not process rule: Operation not permitted',
  'nsenter: cannot open /run/netns/x: Permission denied',
]) {
  test(`without the right to change the firewall nft says who has it: ${said}`, async () => {
    const command = await stub('nobody', `echo "${said}" >&2; exit 1`);
    await assert.rejects(openNft({ command }).load(lines('x')), { code: 'forbidden', message: /as root/ });
  });
}

test('what a policy says in its comments is not taken for what nft says', async () => {
  const bad = [{ text: 'add rule inet nope c drop comment "Operation not permitted"', origin }];
  await assert.rejects(nft.load(bad), { code: 'kernel', message: /^home\.yaml:12:7: / });
});

test('a listing that is no JSON is refused', async () => {
  await assert.rejects(openNft({ command: await stub('chatty', 'echo hello') }).list(), { code: 'kernel' });
});
