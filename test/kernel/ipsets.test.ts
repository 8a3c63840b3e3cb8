import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest, ManifestIpset } from '../../src/compiler/plan.js';
import { elementsOver, type KernelElements } from '../../src/kernel/elements.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { threadExchange } from '../../src/kernel/thread-exchange.js';
import { addressBytes } from '../../src/net/address.js';
import { parseRange } from '../../src/net/prefix.js';
import { link, type Namespace, namespace, type Scope } from './namespace.js';
import { testManifest } from './test-sets.js';

const role = { kind: 'extension', extension: 'test', name: 'test', purpose: 'test' } as const;

function ipset(name: string, more: Partial<ManifestIpset> = {}): ManifestIpset {
  return {
    name,
    type: 'hash:net',
    family: 4,
    timeout: true,
    counters: true,
    comment: true,
    skbinfo: true,
    size: 1000,
    role,
    ...more,
  };
}

const NONE: Manifest = { ...testManifest, tables: [], sets: [], objects: [] };

async function open(
  t: Scope,
  ipsets: readonly ManifestIpset[],
): Promise<{ space: Namespace; elements: KernelElements }> {
  const space = await namespace(t);
  return { space, elements: await opened(t, space, ipsets) };
}

async function opened(t: Scope, space: Namespace, ipsets: readonly ManifestIpset[]): Promise<KernelElements> {
  const exchange = threadExchange({ namespace: space.name });
  const elements = elementsOver(exchange, {
    destroy: true,
    updateTimeout: true,
    resetElements: true,
    filterStates: true,
  });
  t.after(() => elements.close());
  await elements.ipsets.make(ipsets);
  elements.adopt({ ...NONE, ipsets });
  return elements;
}

type Addition = Extract<ElementChange, { op: 'add' }>;

function add(set: number, text: string, more: Partial<Addition> = {}): Addition {
  const { family, first, last } = parseRange(text);
  const key = addressBytes({ family, value: first });
  return { op: 'add', set, key, ...(first === last ? {} : { keyEnd: addressBytes({ family, value: last }) }), ...more };
}

function remove(set: number, text: string): ElementChange {
  const { key, keyEnd } = add(set, text);
  return { op: 'delete', set, key, ...(keyEnd === undefined ? {} : { keyEnd }) };
}

/** Members as the ipset command shows them. */
async function members(space: Namespace, name: string): Promise<string[]> {
  const { stdout } = await space.run('ipset', 'list', name);
  return (stdout.split('Members:\n')[1] ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

test('sets of every type hold what was added, with time, comment and exceptions', async (t) => {
  const { space, elements } = await open(t, [
    ipset('nets'),
    ipset('nets6', { family: 6, skbinfo: false }),
    ipset('hosts', { type: 'hash:ip', counters: false, comment: false, skbinfo: false }),
    ipset('ports', {
      type: 'hash:ip,port',
      timeout: false,
      counters: false,
      comment: false,
      skbinfo: false,
      ports: [
        { protocol: 6, port: 22 },
        { protocol: 17, port: 53 },
      ],
    }),
    ipset('map', {
      type: 'bitmap:ip',
      counters: false,
      comment: false,
      skbinfo: false,
      range: parseRange('192.0.2.0/24'),
    }),
  ]);
  await elements.change([
    add(0, '10.0.0.0/8', { timeoutMs: 3_600_000, comment: 'all of ten' }),
    add(0, '10.1.2.3', { nomatch: true }),
    add(0, '198.51.100.0-198.51.100.5'),
    add(1, '2001:db8::/32', { timeoutMs: 60_000 }),
    add(2, '192.0.2.1', { timeoutMs: 1_500, comment: 'not kept' }),
    add(3, '192.0.2.1'),
    add(4, '192.0.2.255', { timeoutMs: 60_000 }),
  ]);
  const seconds = (lines: readonly string[]) =>
    lines.map((line) => line.replace(/timeout (\d+)/, (_, left) => `timeout ${Math.ceil(left / 10) * 10}`));
  assert.deepEqual(seconds(await members(space, 'nets')), [
    '10.0.0.0/8 timeout 3600 packets 0 bytes 0 comment "all of ten"',
    '10.1.2.3 timeout 0 nomatch packets 0 bytes 0',
    '198.51.100.0/30 timeout 0 packets 0 bytes 0',
    '198.51.100.4/31 timeout 0 packets 0 bytes 0',
  ]);
  assert.deepEqual(seconds(await members(space, 'nets6')), ['2001:db8::/32 timeout 60 packets 0 bytes 0']);
  assert.match((await members(space, 'hosts'))[0] ?? '', /^192\.0\.2\.1 timeout [12]$/);
  assert.deepEqual(await members(space, 'ports'), ['192.0.2.1,tcp:22', '192.0.2.1,udp:53']);
  assert.deepEqual(seconds(await members(space, 'map')), ['192.0.2.255 timeout 60']);

  const states = await elements.dump(0);
  assert.deepEqual(states.map(({ nomatch }) => nomatch ?? false).filter(Boolean), [true]);
  assert.equal((await elements.get(0, add(0, '10.0.0.0/8')))?.comment, 'all of ten');
  assert.equal(await elements.get(0, add(0, '10.0.0.0/9')), undefined);
  assert.equal((await elements.dump(3)).length, 1);
  await assert.rejects(elements.dump(0, { reset: true }), { code: 'unsupported' });
});

test('deletes and flushes are no error where nothing is', async (t) => {
  const { space, elements } = await open(t, [ipset('nets')]);
  await elements.change([remove(0, '192.0.2.1'), add(0, '192.0.2.2'), add(0, '192.0.2.0/24')]);
  await elements.change([remove(0, '192.0.2.2'), remove(0, '192.0.2.0/24')]);
  assert.deepEqual(await members(space, 'nets'), []);
  await elements.change([add(0, '0.0.0.0/0')]);
  assert.deepEqual(
    (await members(space, 'nets')).map((line) => line.split(' ')[0]),
    ['0.0.0.0/1', '128.0.0.0/1'],
  );
  await elements.change([{ op: 'flush', set: 0 }, add(0, '192.0.2.9')]);
  assert.deepEqual(
    (await members(space, 'nets')).map((line) => line.split(' ')[0]),
    ['192.0.2.9'],
  );
});

test('a full set refuses what does not fit, and whoever asked for it alone', async (t) => {
  const { space, elements } = await open(t, [ipset('small', { type: 'hash:ip', size: 3 })]);
  await elements.change([add(0, '192.0.2.1')]);
  const settled = await Promise.allSettled([
    elements.change([add(0, '192.0.2.1', { timeoutMs: 60_000 })]),
    elements.change([add(0, '192.0.2.2'), add(0, '192.0.2.3')]),
    elements.change([add(0, '192.0.2.4')]),
  ]);
  assert.deepEqual(
    settled.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
    ['ok', 'ok', 'full'],
  );
  assert.equal((await members(space, 'small')).length, 3);
  await elements.change([remove(0, '192.0.2.1'), add(0, '192.0.2.5')]);
  assert.equal((await members(space, 'small')).length, 3);
});

test('what a set can never hold is refused before it is sent', async (t) => {
  const { elements } = await open(t, [
    ipset('hosts', { type: 'hash:ip', timeout: false }),
    ipset('map', { type: 'bitmap:ip', range: parseRange('192.0.2.0/24') }),
  ]);
  for (const change of [
    add(0, '192.0.2.0/24'),
    add(0, '192.0.2.1', { timeoutMs: 1000 }),
    add(0, '192.0.2.1', { nomatch: true }),
    add(0, '2001:db8::1'),
    add(1, '198.51.100.1'),
    add(1, '192.0.2.1', { timeoutMs: 0 }),
  ]) {
    await assert.rejects(elements.change([change]), { code: 'invalid' });
  }
  await assert.rejects(elements.change([add(9, '192.0.2.1')]), { code: 'not-found' });
});

test('a set that vanished is named, and made anew with its contents to come', async (t) => {
  const { space, elements } = await open(t, [ipset('nets')]);
  await space.run('ipset', 'destroy', 'nets');
  await assert.rejects(elements.change([add(0, '192.0.2.1')]), {
    code: 'not-found',
    message: /ipset nets: not in the kernel/,
  });
  assert.equal((await elements.ipsets.present()).has('nets'), false);
  await elements.ipsets.make([ipset('nets')]);
  await elements.change([add(0, '192.0.2.1')]);
  assert.deepEqual([...(await elements.ipsets.present())], [['nets', 1]]);
});

test('a restart finds the contents; another shape keeps them, with the rules that refer to the set', async (t) => {
  const { space, elements } = await open(t, [ipset('nets', { comment: false })]);
  await space.run('iptables', '-A', 'INPUT', '-m', 'set', '--match-set', 'nets', 'src', '-j', 'DROP');
  await elements.change([add(0, '192.0.2.1', { timeoutMs: 600_000 }), add(0, '198.51.100.0/24', { nomatch: true })]);
  const second = await opened(t, space, [ipset('nets', { comment: false })]);
  assert.equal((await second.dump(0)).length, 2);
  const third = await opened(t, space, [ipset('nets', { counters: false, size: 5000 })]);
  await third.change([add(0, '203.0.113.1', { comment: 'new' })]);
  assert.deepEqual(
    (await members(space, 'nets')).map((line) => line.replace(/timeout \d\d\d/, 'timeout T')),
    ['192.0.2.1 timeout T', '198.51.100.0/24 timeout 0 nomatch', '203.0.113.1 timeout 0 comment "new"'],
  );
  assert.match((await space.run('iptables', '-S')).stdout, /--match-set nets src/);
  await assert.rejects(third.ipsets.make([ipset('nets', { type: 'hash:ip' })]), {
    code: 'conflict',
    message: /is there as hash:net of IPv4, and its table needs hash:ip of IPv4; delete it: ipset destroy nets/,
  });
  // What rules refer to can't be deleted: it is emptied.
  await third.ipsets.drop([ipset('nets')]);
  assert.deepEqual(await members(space, 'nets'), []);
  await space.run('iptables', '-F');
  await third.ipsets.drop([ipset('nets')]);
  await assert.rejects(members(space, 'nets'));
});

test('contents are replaced at once, and changes made meanwhile are kept', async (t) => {
  const { space, elements } = await open(t, [ipset('nets', { size: 100_000, comment: false, counters: false })]);
  const list = (second: number) =>
    Array.from({ length: 20_000 }, (_, index) => add(0, `10.${second}.${index >> 8}.${index & 255}`));
  await elements.ipsets.replace(0, list(1));
  let replacing = true;
  const replaced = elements.ipsets.replace(0, list(2)).finally(() => {
    replacing = false;
  });
  const seen = new Set<string>();
  let changes = 0;
  while (replacing) {
    await elements.change([add(0, `192.0.2.${changes++ % 256}`), remove(0, '10.1.0.1'), remove(0, '10.2.0.1')]);
    const { stdout } = await space.run('ipset', '-t', 'list', 'nets');
    seen.add(/entries: (\d+)/.exec(stdout)?.[1] ?? '');
  }
  await replaced;
  assert.ok(changes > 1);
  // Never anything between: the old content with what was added, or the new one.
  for (const entries of seen) assert.ok(Number(entries) >= 19_999 && Number(entries) <= 20_000 + changes, entries);
  const found = (await elements.dump(0)).map(({ key }) => key.join('.'));
  assert.equal(found.filter((key) => key.startsWith('10.2.')).length, 19_999);
  assert.equal(found.filter((key) => key.startsWith('10.1.')).length, 0);
  assert.equal(found.filter((key) => key.startsWith('192.')).length, Math.min(changes, 256));
  assert.equal((await space.run('ipset', 'list', '-n')).stdout, 'nets');
});

test('a replacement that does not fit leaves the old contents', async (t) => {
  const { space, elements } = await open(t, [ipset('small', { type: 'hash:ip', size: 2 })]);
  await elements.change([add(0, '192.0.2.1')]);
  await assert.rejects(
    elements.ipsets.replace(
      0,
      ['192.0.2.2', '192.0.2.3', '192.0.2.4'].map((text) => add(0, text)),
    ),
    {
      code: 'full',
    },
  );
  assert.equal((await members(space, 'small')).length, 1);
  assert.equal((await space.run('ipset', 'list', '-n')).stdout, 'small');
});

test('a rule of iptables obeys what is added and deleted', async (t) => {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link([client, 'wan0', '198.51.100.1/24'], [firewall, 'wan', '198.51.100.254/24']);
  const elements = await opened(t, firewall, [ipset('banned')]);
  await firewall.run('iptables', '-A', 'INPUT', '-m', 'set', '--match-set', 'banned', 'src', '-j', 'DROP');
  const ping = () => client.run('ping', '-q', '-c1', '-W1', '198.51.100.254');
  await ping();
  await elements.change([add(0, '198.51.100.0/24')]);
  await assert.rejects(ping());
  await elements.change([add(0, '198.51.100.1', { nomatch: true })]);
  await ping();
  await elements.change([{ op: 'flush', set: 0 }]);
  await ping();
});
