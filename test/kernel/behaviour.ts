/**
 * How a kernel behaves, whether it is the fake or the real one. Each test gets a kernel without tables of ours.
 * Addresses and packets are those of `bench.send`: from 127.0.0.1, in input.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Plan, SetRole } from '../../src/compiler/plan.js';
import type { ElementKey, Kernel } from '../../src/kernel/kernel.js';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import { parseRange } from '../../src/net/prefix.js';
import * as b from '../../src/nft/build.js';
import type { NamedObject, NftSet, Rule, Table } from '../../src/nft/model.js';
import { planOf } from './plan.js';

export interface Bench {
  readonly kernel: Kernel;
  /** The same kernel, opened by another daemon. */
  reopened(): Promise<Kernel>;
  /** Lets time go by. */
  pass(ms: number): Promise<void>;
  /** Echo requests from 127.0.0.1, of 84 bytes each, through `counting` of these tests. */
  send(kernel: Kernel, packets: number): Promise<void>;
}

export const host = (text: string): ElementKey => ({ key: addressBytes(parseAddress(text)) });
export const span = (text: string): ElementKey => {
  const { family, first, last } = parseRange(text);
  return { key: addressBytes({ family, value: first }), keyEnd: addressBytes({ family, value: last }) };
};
const hex = ({ key, keyEnd }: ElementKey): string =>
  [key, ...(keyEnd ? [keyEnd] : [])].map((bytes) => Buffer.from(bytes).toString('hex')).join('-');

const HOSTS = 0;
const NETS = 1;
const ACCOUNT = 2;
const PAIRS = 3;
const NETS6 = 4;
const COUNTER = 0;
const QUOTA = 1;

const sets: readonly NftSet[] = [
  { name: 'h4_bans', key: { type: ['ipv4_addr'] }, flags: ['dynamic', 'timeout'], size: 4 },
  { name: 'p4_bans', key: { type: ['ipv4_addr'] }, flags: ['interval', 'timeout'], size: 16 },
  { name: 'a4_sales', key: { type: ['ipv4_addr'] }, flags: ['dynamic'], size: 8, counter: true },
  { name: 'x_pairs', key: { type: ['ipv4_addr', 'inet_service'] }, flags: ['interval', 'timeout'], size: 16 },
  { name: 'p6_bans', key: { type: ['ipv6_addr'] }, flags: ['interval', 'timeout'], size: 16 },
];
const bans = (family: 4 | 6, tier: 'hosts' | 'prefixes'): SetRole => ({ kind: 'table', table: 'bans', tier, family });
const roles: Readonly<Record<string, SetRole>> = {
  h4_bans: bans(4, 'hosts'),
  h4_bans_v2: bans(4, 'hosts'),
  p4_bans: bans(4, 'prefixes'),
  p6_bans: bans(6, 'prefixes'),
  a4_sales: { kind: 'account', account: 'sales', direction: 'source', family: 4 },
};
const objects: readonly NamedObject[] = [
  { kind: 'counter', name: 'c_seen' },
  { kind: 'quota', name: 'q_guest', bytes: 1_000_000, inv: true },
];
const counting: readonly Rule[] = [
  b.rule(b.matchNot(b.payload('icmp', 'type'), 'echo-request'), b.accept),
  b.rule(b.counter('c_seen')),
  b.rule(b.quota('q_guest'), b.drop),
  b.rule(b.update('a4_sales', b.ip('saddr'))),
];

const table = (parts: Partial<Table> = {}): Table => ({
  family: 'inet',
  name: 'postern',
  objects,
  sets,
  chains: [
    { name: 'in', base: { type: 'filter', hook: 'input', priority: 0 }, rules: counting },
    { name: 'side', rules: [] },
  ],
  ...parts,
});
const planWith = (parts: Partial<Table> = {}): Plan => planOf({ tables: [table(parts)] }, roles);
const withSet = (name: string, change: Partial<NftSet>): Plan =>
  planWith({ sets: sets.map((set) => (set.name === name ? { ...set, ...change } : set)) });
const ruled = (...rules: readonly Rule[]): Plan =>
  planWith({ chains: [{ name: 'in', base: { type: 'filter', hook: 'input', priority: 0 }, rules }] });

async function contents(kernel: Kernel, set: number): Promise<string[]> {
  return (await kernel.dump(set)).map(hex).sort();
}

/** Defines the tests. `open` gives a kernel without tables of ours, and cleans up with the test. */
export function kernelBehaviour(open: (t: TestContext) => Promise<Bench>): void {
  const behaves = (name: string, run: (bench: Bench) => Promise<void>): void => {
    test(name, async (t) => run(await open(t)));
  };
  const loaded = (name: string, run: (kernel: Kernel, bench: Bench) => Promise<void>): void =>
    behaves(name, async (bench) => {
      await bench.kernel.load(planWith(), undefined);
      await run(bench.kernel, bench);
    });

  elementBehaviour(loaded);
  intervalBehaviour(loaded);
  refusalBehaviour(behaves, loaded);
  reloadBehaviour(loaded);
}

type Defines = (name: string, run: (kernel: Kernel, bench: Bench) => Promise<void>) => void;

function elementBehaviour(loaded: Defines): void {
  loaded('an added element is there with its timeout and comment', async (kernel) => {
    await kernel.change([
      { op: 'add', set: HOSTS, ...host('192.0.2.1'), timeoutMs: 60_000, comment: 'knocked "hard" ü' },
    ]);
    const found = await kernel.get(HOSTS, host('192.0.2.1'));
    assert.equal(found?.timeoutMs, 60_000);
    assert.ok(found.expiresMs !== undefined && found.expiresMs > 50_000 && found.expiresMs <= 60_000);
    assert.equal(found.comment, 'knocked "hard" ü');
    assert.deepEqual(await contents(kernel, HOSTS), ['c0000201']);
  });

  loaded('an element without a timeout stays', async (kernel, bench) => {
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1') }]);
    await bench.pass(300);
    assert.equal((await kernel.get(HOSTS, host('192.0.2.1')))?.timeoutMs, undefined);
    assert.deepEqual(await contents(kernel, HOSTS), ['c0000201']);
  });

  loaded('an element is gone when its time is over', async (kernel, bench) => {
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1'), timeoutMs: 100 }]);
    await bench.pass(300);
    assert.equal(await kernel.get(HOSTS, host('192.0.2.1')), undefined);
    assert.deepEqual(await contents(kernel, HOSTS), []);
  });

  loaded('adding again gives the new timeout, also permanent to timed and back', async (kernel, bench) => {
    const change = (timeoutMs?: number) =>
      kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1'), ...(timeoutMs && { timeoutMs }) }]);
    const timeout = async () => (await kernel.get(HOSTS, host('192.0.2.1')))?.timeoutMs;
    await change(200);
    await change(90_000);
    await bench.pass(400);
    assert.equal(await timeout(), 90_000);
    await change();
    assert.equal(await timeout(), undefined);
    await change(80_000);
    assert.equal(await timeout(), 80_000);
  });

  loaded('deleting what is not there is no error', async (kernel) => {
    await kernel.change([{ op: 'delete', set: HOSTS, ...host('192.0.2.1') }]);
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1') }]);
    await kernel.change([{ op: 'delete', set: HOSTS, ...host('192.0.2.1') }]);
    assert.deepEqual(await contents(kernel, HOSTS), []);
  });

  loaded('a flush and what follows it is one transaction', async (kernel) => {
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1') }]);
    await kernel.change([
      { op: 'flush', set: HOSTS },
      { op: 'add', set: HOSTS, ...host('192.0.2.2') },
    ]);
    assert.deepEqual(await contents(kernel, HOSTS), ['c0000202']);
  });

  loaded('a full set takes no more, and nothing of that transaction', async (kernel) => {
    const add = (last: number) => ({ op: 'add' as const, set: HOSTS, ...host(`192.0.2.${last}`) });
    await kernel.change([add(1), add(2), add(3)]);
    await assert.rejects(kernel.change([add(4), add(5)]), { name: 'PosternError', code: 'full' });
    assert.equal((await contents(kernel, HOSTS)).length, 3);
    await kernel.change([add(3), add(4)]);
    await kernel.change([{ op: 'delete', set: HOSTS, ...host('192.0.2.1') }, add(5)]);
    assert.equal((await contents(kernel, HOSTS)).length, 4);
  });

  loaded('a key of another type is refused', async (kernel) => {
    await assert.rejects(kernel.change([{ op: 'add', set: HOSTS, ...host('2001:db8::1') }]), { code: 'kernel' });
    await assert.rejects(kernel.change([{ op: 'add', set: HOSTS, ...span('192.0.2.0/24') }]), { code: 'invalid' });
    assert.deepEqual(await contents(kernel, HOSTS), []);
  });

  loaded('a set or an object that the manifest does not have is not found', async (kernel) => {
    await assert.rejects(kernel.get(99, host('192.0.2.1')), { code: 'not-found' });
    await assert.rejects(kernel.change([{ op: 'flush', set: 99 }]), { code: 'not-found' });
    await assert.rejects(kernel.object(99), { code: 'not-found' });
  });

  loaded('counts of elements are read and set to zero in one step', async (kernel, bench) => {
    await bench.send(kernel, 3);
    const [first] = await kernel.dump(ACCOUNT, { reset: true });
    assert.deepEqual([first?.packets, first?.bytes], [3n, 252n]);
    await bench.send(kernel, 2);
    assert.equal((await kernel.get(ACCOUNT, host('127.0.0.1')))?.packets, 2n);
  });

  loaded('counters and quotas are read, and set to zero when asked', async (kernel, bench) => {
    await bench.send(kernel, 3);
    assert.deepEqual(await kernel.object(COUNTER), { packets: 3n, bytes: 252n });
    assert.deepEqual(await kernel.object(QUOTA), { limitBytes: 1_000_000n, usedBytes: 252n });
    assert.deepEqual(await kernel.object(COUNTER, { reset: true }), { packets: 3n, bytes: 252n });
    assert.deepEqual(await kernel.object(COUNTER), { packets: 0n, bytes: 0n });
  });

  loaded('another daemon finds every element and count', async (kernel, bench) => {
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1'), timeoutMs: 60_000 }]);
    await bench.send(kernel, 2);
    const other = await bench.reopened();
    await assert.rejects(other.dump(HOSTS), { code: 'internal' });
    await other.adopt(planWith().manifest);
    assert.deepEqual(await contents(other, HOSTS), ['c0000201']);
    assert.deepEqual(await other.object(COUNTER), { packets: 2n, bytes: 168n });
    await other.close();
  });
}

function intervalBehaviour(loaded: Defines): void {
  loaded('intervals of both families are found by exactly their ends', async (kernel) => {
    await kernel.change([
      { op: 'add', set: NETS, ...span('192.0.2.0/24'), timeoutMs: 60_000 },
      { op: 'add', set: NETS, ...span('198.51.100.3-198.51.100.9') },
      { op: 'add', set: NETS, ...span('203.0.113.7') },
      { op: 'add', set: NETS6, ...span('2001:db8::/32') },
    ]);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c00002ff', 'c6336403-c6336409', 'cb007107-cb007107']);
    assert.deepEqual(await contents(kernel, NETS6), [`20010db8${'0'.repeat(24)}-20010db8${'f'.repeat(24)}`]);
    assert.equal((await kernel.get(NETS, span('192.0.2.0/24')))?.timeoutMs, 60_000);
    assert.equal(await kernel.get(NETS, span('192.0.2.0/25')), undefined);
    assert.equal(await kernel.get(NETS, span('192.0.2.7')), undefined);
  });

  loaded('the ends of the address space are intervals like others', async (kernel) => {
    await kernel.change([
      { op: 'add', set: NETS, ...span('0.0.0.0/8') },
      { op: 'add', set: NETS, ...span('240.0.0.0/4') },
    ]);
    assert.deepEqual(await contents(kernel, NETS), ['00000000-00ffffff', 'f0000000-ffffffff']);
    await kernel.change([{ op: 'delete', set: NETS, ...span('240.0.0.0/4') }]);
    assert.deepEqual(await contents(kernel, NETS), ['00000000-00ffffff']);
  });

  loaded('neighbours are no overlap', async (kernel) => {
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/25') }]);
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.128/25') }]);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c000027f', 'c0000280-c00002ff']);
  });

  for (const [what, other] of [
    ['inside', '192.0.2.64/26'],
    ['around', '192.0.0.0/16'],
    ['across the end', '192.0.2.200-192.0.3.5'],
    ['across the start', '192.0.1.5-192.0.2.5'],
    ['one address inside', '192.0.2.7'],
  ] as const) {
    loaded(`an interval ${what} of another is refused with its transaction`, async (kernel) => {
      await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/24') }]);
      await assert.rejects(
        kernel.change([
          { op: 'add', set: NETS, ...span('203.0.113.0/24') },
          { op: 'add', set: NETS, ...span(other) },
        ]),
        { name: 'PosternError', code: 'kernel' },
      );
      assert.deepEqual(await contents(kernel, NETS), ['c0000200-c00002ff']);
    });
  }

  loaded('the same interval again gives it another timeout', async (kernel) => {
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/24') }]);
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/24'), timeoutMs: 70_000 }]);
    assert.equal((await kernel.get(NETS, span('192.0.2.0/24')))?.timeoutMs, 70_000);
  });

  loaded('an expired interval makes room for one over it', async (kernel, bench) => {
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/25'), timeoutMs: 100 }]);
    await bench.pass(300);
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/24') }]);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c00002ff']);
  });

  loaded('a replaced interval never leaves a gap or an overlap in one transaction', async (kernel) => {
    await kernel.change([{ op: 'add', set: NETS, ...span('192.0.2.0/24') }]);
    await kernel.change([
      { op: 'delete', set: NETS, ...span('192.0.2.0/24') },
      { op: 'add', set: NETS, ...span('192.0.2.0-192.0.2.6') },
      { op: 'add', set: NETS, ...span('192.0.2.8-192.0.2.255') },
    ]);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c0000206', 'c0000208-c00002ff']);
  });

  loaded('pairs of a network and a port are intervals, too', async (kernel) => {
    const pair = (text: string, port: number): ElementKey => {
      const { key, keyEnd = key } = span(text);
      const end = Uint8Array.of(port >> 8, port & 255, 0, 0);
      return { key: Buffer.concat([key, end]), keyEnd: Buffer.concat([keyEnd, end]) };
    };
    await kernel.change([
      { op: 'add', set: PAIRS, ...pair('192.0.2.0/24', 22), timeoutMs: 60_000 },
      { op: 'add', set: PAIRS, ...pair('192.0.2.0/24', 25) },
    ]);
    assert.deepEqual(await contents(kernel, PAIRS), [
      'c000020000160000-c00002ff00160000',
      'c000020000190000-c00002ff00190000',
    ]);
    await assert.rejects(kernel.change([{ op: 'add', set: PAIRS, ...pair('192.0.2.7', 22) }]), { code: 'kernel' });
    await kernel.change([{ op: 'delete', set: PAIRS, ...pair('192.0.2.0/24', 22) }]);
    assert.deepEqual(await contents(kernel, PAIRS), ['c000020000190000-c00002ff00190000']);
  });
}

function refusalBehaviour(
  behaves: (name: string, run: (bench: Bench) => Promise<void>) => void,
  loaded: Defines,
): void {
  const origin = { file: 'home.yaml', line: 9, column: 5 };
  const faults: readonly (readonly [string, Plan])[] = [
    ['a jump to a chain that is not there', ruled({ ...b.rule(b.jump('nowhere')), origin })],
    ['a jump to a base chain', ruled({ ...b.rule(b.jump('in')), origin })],
    ['a set that is not there', ruled({ ...b.rule(b.match(b.ip('saddr'), '@nothing')), origin })],
    ['a set of another type', ruled({ ...b.rule(b.match(b.ip6('saddr'), '@h4_bans')), origin })],
    ['a counter that is not there', ruled({ ...b.rule(b.counter('c_nothing')), origin })],
    ['a quota that is not there', ruled({ ...b.rule(b.quota('q_nothing')), origin })],
    ['a table family that cannot forward frames', ruled({ ...b.rule(b.fwd('lo')), origin })],
    [
      'a verdict map to a chain that is not there',
      ruled({ ...b.rule(b.vmap(b.tcp('dport'), [[22, b.jump('nowhere')]])), origin }),
    ],
  ];
  for (const [what, plan] of faults) {
    behaves(`${what} is refused with the policy line, and nothing is loaded`, async ({ kernel }) => {
      const expected = { name: 'PosternError', message: /^home\.yaml:9:5: / };
      await assert.rejects(kernel.check(plan, undefined), expected);
      await assert.rejects(kernel.load(plan, undefined), expected);
      await kernel.adopt(plan.manifest);
      assert.equal((await kernel.present()).tables.size, 0);
    });
  }

  const circle = planWith({
    chains: [
      { name: 'in', base: { type: 'filter', hook: 'input', priority: 0 }, rules: [b.rule(b.jump('a'))] },
      { name: 'a', rules: [b.rule(b.jump('b'))] },
      { name: 'b', rules: [b.rule(b.jump('a'))] },
    ],
  });
  const natInForward = planWith({
    chains: [{ name: 'n', base: { type: 'nat', hook: 'forward', priority: 0 }, rules: [] }],
  });
  const tooMany = withSet('h4_bans', { elements: Array.from({ length: 5 }, (_, i) => ({ value: `192.0.2.${i}` })) });
  for (const [what, plan] of [
    ['chains that jump in a circle', circle],
    ['a nat chain in forward', natInForward],
    ['more elements than the set holds', tooMany],
    ['a set of another type under the same name', withSet('h4_bans', { key: { type: ['ipv6_addr'] } })],
  ] as const) {
    loaded(`${what}: the load fails and leaves everything as it was`, async (kernel, bench) => {
      const before = planWith().manifest;
      await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1'), timeoutMs: 60_000 }]);
      await bench.send(kernel, 2);
      const present = await kernel.present();
      await assert.rejects(kernel.check(plan, before), { name: 'PosternError' });
      await assert.rejects(kernel.load(plan, before), { name: 'PosternError' });
      assert.deepEqual(await kernel.present(), present);
      assert.deepEqual(await contents(kernel, HOSTS), ['c0000201']);
      await bench.send(kernel, 1);
      assert.equal((await kernel.object(COUNTER)).packets, 3n);
    });
  }

  loaded('a set that packets cannot change is refused when the rule comes later', async (kernel) => {
    const fixed: readonly NftSet[] = [...sets, { name: 'x_fixed', key: { type: ['ipv4_addr'] }, flags: [], size: 4 }];
    const rules = [{ ...b.rule(b.update('x_fixed', b.ip('saddr'))), origin }];
    const chains = [{ name: 'in', base: { type: 'filter', hook: 'input', priority: 0 }, rules }] as const;
    await kernel.load(planWith({ sets: fixed }), planWith().manifest);
    const wrong = planWith({ sets: fixed, chains });
    await assert.rejects(kernel.load(wrong, planWith({ sets: fixed }).manifest), { message: /^home\.yaml:9:5: / });
  });

  loaded('a check changes nothing', async (kernel) => {
    const present = await kernel.present();
    await kernel.check(planWith({ sets: [], objects: [], chains: [] }), planWith().manifest);
    assert.deepEqual(await kernel.present(), present);
  });
}

function reloadBehaviour(loaded: Defines): void {
  const first = planWith();
  const otherRules = planWith({
    chains: [
      { name: 'in', base: { type: 'filter', hook: 'input', priority: 0 }, rules: [...counting, b.rule(b.accept)] },
      { name: 'side', rules: [b.rule(b.drop)] },
    ],
  });

  for (const [what, next] of [
    ['the same policy', first],
    ['other rules', otherRules],
  ] as const) {
    loaded(`loading ${what} keeps elements, timeouts, counts and what is used of a quota`, async (kernel, bench) => {
      await kernel.change([
        { op: 'add', set: HOSTS, ...host('192.0.2.1'), timeoutMs: 60_000, comment: 'kept' },
        { op: 'add', set: NETS, ...span('198.51.100.0/24') },
      ]);
      await bench.send(kernel, 3);
      await bench.pass(100);
      await kernel.load(next, first.manifest);
      const kept = await kernel.get(HOSTS, host('192.0.2.1'));
      assert.equal(kept?.comment, 'kept');
      assert.ok(kept.expiresMs !== undefined && kept.expiresMs <= 59_900);
      assert.deepEqual(await contents(kernel, NETS), ['c6336400-c63364ff']);
      assert.equal((await kernel.get(ACCOUNT, host('127.0.0.1')))?.packets, 3n);
      assert.deepEqual(await kernel.object(COUNTER), { packets: 3n, bytes: 252n });
      assert.equal((await kernel.object(QUOTA)).usedBytes, 252n);
    });
  }

  loaded('what left the policy goes, and only that', async (kernel) => {
    const less = planWith({
      sets: sets.slice(0, 3),
      objects: objects.slice(0, 2),
      chains: [{ name: 'in', base: { type: 'filter', hook: 'input', priority: 0 }, rules: counting }],
    });
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1') }]);
    await kernel.load(less, first.manifest);
    const present = await kernel.present();
    assert.deepEqual([...present.chains.keys()], ['inet postern in']);
    assert.deepEqual([...present.sets.keys()].sort(), [
      'inet postern a4_sales',
      'inet postern h4_bans',
      'inet postern p4_bans',
    ]);
    assert.deepEqual([...present.objects.keys()].sort(), ['inet postern counter c_seen', 'inet postern quota q_guest']);
    assert.deepEqual(await contents(kernel, HOSTS), ['c0000201']);
  });

  loaded('a table that left the policy goes whole', async (kernel) => {
    const both = planOf({ tables: [table(), { ...table(), family: 'ip', sets: [], objects: [], chains: [] }] }, roles);
    await kernel.load(both, first.manifest);
    assert.deepEqual([...(await kernel.present()).tables].sort(), ['inet postern', 'ip postern']);
    await kernel.load(first, both.manifest);
    await kernel.adopt(both.manifest);
    assert.deepEqual([...(await kernel.present()).tables], ['inet postern']);
  });

  loaded('leftovers of a load that was forgotten go', async (kernel) => {
    await kernel.load(planWith({ objects: [...objects, { kind: 'counter', name: 'c_old' }] }), first.manifest);
    await kernel.load(first, undefined);
    assert.ok(!(await kernel.present()).objects.has('inet postern counter c_old'));
  });

  loaded('a base chain may change its hook and priority', async (kernel) => {
    const moved = planWith({
      chains: [{ name: 'in', base: { type: 'filter', hook: 'forward', priority: 5 }, rules: [b.rule(b.drop)] }],
    });
    await kernel.load(moved, first.manifest);
    assert.deepEqual((await kernel.present()).chains.get('inet postern in'), {
      base: 'filter forward 5',
      policy: 'accept',
      rules: 1,
    });
  });

  loaded('a quota is given another bound, and what was used is kept or forgotten', async (kernel, bench) => {
    await bench.send(kernel, 3);
    const { usedBytes = 0n } = await kernel.object(QUOTA);
    assert.ok(usedBytes > 1n);
    await kernel.allow(QUOTA, 5_000_000n);
    assert.deepEqual(await kernel.object(QUOTA), { limitBytes: 5_000_000n, usedBytes });
    await kernel.allow(QUOTA, 1n);
    assert.deepEqual(await kernel.object(QUOTA), { limitBytes: 1n, usedBytes: 1n });
    await kernel.allow(QUOTA, 700n, { reset: true });
    assert.deepEqual(await kernel.object(QUOTA), { limitBytes: 700n, usedBytes: 0n });
    await assert.rejects(kernel.allow(COUNTER, 1n), { code: 'internal' });
  });

  loaded('a set may become larger and a quota wider without losing anything', async (kernel, bench) => {
    const add = (last: number) => ({ op: 'add' as const, set: HOSTS, ...host(`192.0.2.${last}`) });
    await kernel.change([1, 2, 3, 4].map(add));
    await bench.send(kernel, 1);
    const wider = planOf(
      {
        tables: [
          table({
            sets: sets.map((set) => (set.name === 'h4_bans' ? { ...set, size: 5 } : set)),
            objects: [objects[0]!, { kind: 'quota', name: 'q_guest', bytes: 2_000_000, inv: true }],
          }),
        ],
      },
      roles,
    );
    await kernel.load(wider, first.manifest);
    await kernel.change([add(5)]);
    assert.equal((await contents(kernel, HOSTS)).length, 5);
    await assert.rejects(kernel.change([add(6)]), { code: 'full' });
    assert.deepEqual(await kernel.object(QUOTA), { limitBytes: 2_000_000n, usedBytes: 84n });
  });

  loaded('a limit takes its new rate', async (kernel) => {
    const limited = (rate: number) =>
      planWith({ objects: [...objects, { kind: 'limit', name: 'l_slow', rate, per: 'minute' }] });
    await kernel.load(limited(5), first.manifest);
    await kernel.load(limited(7), limited(5).manifest);
    const present = await kernel.present();
    assert.equal(present.objects.get('inet postern limit l_slow'), 'until 7 packets minute 5');
  });

  loaded('contents that the policy owns are replaced', async (kernel) => {
    const owned = (...values: readonly string[]) =>
      withSet('p4_bans', { elements: values.map((value) => ({ value })) });
    const [one, two] = [owned('192.0.2.0/24', '203.0.113.0/25'), owned('192.0.2.0/23')];
    await kernel.load(one, first.manifest);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c00002ff', 'cb007100-cb00717f']);
    await kernel.load(two, one.manifest);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c00003ff']);
    await kernel.load(owned(), two.manifest);
    assert.deepEqual(await contents(kernel, NETS), []);
  });

  loaded('a set whose shape changed keeps its contents under its new name', async (kernel) => {
    await kernel.change([
      { op: 'add', set: HOSTS, ...host('192.0.2.1'), timeoutMs: 60_000, comment: 'said "no" twice' },
      { op: 'add', set: HOSTS, ...host('192.0.2.2') },
    ]);
    const reshaped = withSet('h4_bans', { name: 'h4_bans_v2', counter: true });
    await kernel.load(reshaped, first.manifest);
    assert.ok(!(await kernel.present()).sets.has('inet postern h4_bans'));
    const timed = await kernel.get(HOSTS, host('192.0.2.1'));
    assert.equal(timed?.comment, "said 'no' twice");
    assert.equal(timed.timeoutMs, 60_000);
    assert.ok(timed.expiresMs !== undefined && timed.expiresMs > 50_000 && timed.expiresMs <= 60_000);
    assert.deepEqual([timed.packets, timed.bytes], [0n, 0n]);
    assert.equal((await kernel.get(HOSTS, host('192.0.2.2')))?.timeoutMs, undefined);
    assert.equal((await contents(kernel, HOSTS)).length, 2);
  });

  loaded('counts and intervals are carried to a set of another shape, too', async (kernel, bench) => {
    await bench.send(kernel, 4);
    await kernel.change([
      { op: 'add', set: NETS, ...span('192.0.2.0/24'), timeoutMs: 60_000 },
      { op: 'add', set: NETS, ...span('198.51.100.3-198.51.100.9') },
    ]);
    const renamed: Readonly<Record<string, SetRole>> = {
      ...roles,
      a4_sales_v2: roles.a4_sales!,
      p4_bans_v2: roles.p4_bans!,
    };
    const reshaped = planOf(
      {
        tables: [
          table({
            sets: sets.map((set) =>
              set.name === 'a4_sales'
                ? { ...set, name: 'a4_sales_v2', flags: ['dynamic', 'timeout'] }
                : set.name === 'p4_bans'
                  ? { ...set, name: 'p4_bans_v2', counter: true, timeoutMs: 3_600_000 }
                  : set,
            ),
            chains: [
              {
                name: 'in',
                base: { type: 'filter', hook: 'input', priority: 0 },
                rules: [...counting.slice(0, 3), b.rule(b.update('a4_sales_v2', b.ip('saddr')))],
              },
            ],
          }),
        ],
      },
      renamed,
    );
    await kernel.load(reshaped, first.manifest);
    assert.equal((await kernel.get(ACCOUNT, host('127.0.0.1')))?.packets, 4n);
    assert.deepEqual(await contents(kernel, NETS), ['c0000200-c00002ff', 'c6336403-c6336409']);
    const timed = await kernel.get(NETS, span('192.0.2.0/24'));
    assert.ok(timed?.expiresMs !== undefined && timed.expiresMs <= 60_000);
    assert.equal((await kernel.get(NETS, span('198.51.100.3-198.51.100.9')))?.timeoutMs, undefined);
  });

  loaded('a new set gets the contents that come with the load, one that is there keeps its own', async (kernel) => {
    await kernel.change([{ op: 'add', set: HOSTS, ...host('192.0.2.1') }]);
    const more = planWith({ sets: [...sets, { ...sets[0]!, name: 'h4_more' }] });
    const contents4 = [{ value: '192.0.2.7', timeoutMs: 60_000, comment: 'given' }, { value: '192.0.2.8' }];
    const given = new Map(['h4_bans', 'h4_more'].map((name) => [`inet postern ${name}`, contents4]));
    await kernel.load(more, first.manifest, given);
    assert.deepEqual(await contents(kernel, HOSTS), ['c0000201']);
    assert.deepEqual(await contents(kernel, sets.length), ['c0000207', 'c0000208']);
    assert.equal((await kernel.get(sets.length, host('192.0.2.7')))?.comment, 'given');
  });

  loaded('a set that a limit lives in starts empty when its shape changes', async (kernel) => {
    const limited = (name: string, size: number): Plan => {
      const set: NftSet = { name, key: { type: ['ipv4_addr'] }, flags: ['dynamic', 'timeout'], size };
      const limit = b.limit({ rate: 1, per: 'week', inv: true });
      const update = b.rule(b.update(name, b.ip('saddr'), { timeoutMs: 60_000, stmt: [limit] }), b.drop);
      const role: SetRole = { kind: 'extension', extension: 'psd', name: 'x', purpose: 'weight' };
      return planOf(
        {
          tables: [
            table({
              sets: [set],
              objects: [],
              chains: [{ name: 'in', base: { type: 'filter', hook: 'forward', priority: 0 }, rules: [update] }],
            }),
          ],
        },
        { [name]: role },
      );
    };
    await kernel.load(limited('x_one', 4), first.manifest);
    await kernel.change([{ op: 'add', set: 0, ...host('192.0.2.1'), timeoutMs: 60_000 }]);
    await kernel.load(limited('x_two', 8), limited('x_one', 4).manifest);
    assert.deepEqual(await contents(kernel, 0), []);
  });
}
