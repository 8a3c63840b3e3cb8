/** How a kernel behaves that holds ipsets, whether it is the fake or the real one. Each test gets one without any. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ManifestIpset, Plan } from '../../src/compiler/plan.js';
import type { Addition, ElementKey, Kernel } from '../../src/kernel/kernel.js';
import { type Bench, host, span } from './behaviour.js';
import { planOf } from './plan.js';

const [HOSTS, NETS] = [0, 1];
const role = { kind: 'extension', extension: 'test', name: 'test', purpose: 'test' } as const;
const common = { family: 4, timeout: true, counters: true, comment: true, skbinfo: false, role } as const;
const ipsets: readonly ManifestIpset[] = [
  { ...common, name: 'pt-hosts', type: 'hash:ip', size: 4 },
  { ...common, name: 'pt-nets', type: 'hash:net', size: 16 },
];

function planWith(sets: readonly ManifestIpset[]): Plan {
  const plan = planOf({ tables: [] });
  return { ...plan, manifest: { ...plan.manifest, ipsets: sets } };
}

const add = (set: number, key: ElementKey, more: Partial<Addition> = {}): Addition => ({
  op: 'add',
  set,
  ...key,
  ...more,
});

/** As `192.0.2.0-192.0.2.255`. */
async function contents(kernel: Kernel, set: number): Promise<string[]> {
  const listed = await kernel.dump(set);
  return listed.map(({ key, keyEnd = key }) => [...new Set([key.join('.'), keyEnd.join('.')])].join('-')).sort();
}

/** Defines the tests. `open` gives a kernel without ipsets, and cleans up with the test. */
export function ipsetBehaviour(open: (t: TestContext) => Promise<Bench>): void {
  const loaded = (name: string, run: (kernel: Kernel, bench: Bench) => Promise<void>): void => {
    test(`ipsets: ${name}`, async (t) => {
      const bench = await open(t);
      await bench.kernel.load(planWith(ipsets), undefined);
      await run(bench.kernel, bench);
    });
  };

  loaded('an added element is there with its timeout and comment', async (kernel) => {
    await kernel.change([add(HOSTS, host('192.0.2.1'), { timeoutMs: 60_000, comment: 'knocked "hard" ü' })]);
    const found = await kernel.get(HOSTS, host('192.0.2.1'));
    assert.equal(found?.comment, 'knocked "hard" ü');
    assert.ok(found.expiresMs !== undefined && found.expiresMs > 50_000 && found.expiresMs <= 60_000);
    assert.equal(await kernel.get(HOSTS, host('192.0.2.2')), undefined);
    assert.deepEqual(await contents(kernel, HOSTS), ['192.0.2.1']);
  });

  loaded('adding again gives the new timeout, and none makes it permanent', async (kernel) => {
    await kernel.change([add(HOSTS, host('192.0.2.1'), { timeoutMs: 10_000 })]);
    await kernel.change([add(HOSTS, host('192.0.2.1'), { timeoutMs: 60_000 })]);
    const { expiresMs = 0 } = (await kernel.get(HOSTS, host('192.0.2.1'))) ?? {};
    assert.ok(expiresMs > 10_000, `${expiresMs} ms`);
    await kernel.change([add(HOSTS, host('192.0.2.1'))]);
    assert.equal((await kernel.get(HOSTS, host('192.0.2.1')))?.expiresMs, undefined);
  });

  loaded('an element whose time is over is gone', async (kernel, bench) => {
    await kernel.change([add(HOSTS, host('192.0.2.1'), { timeoutMs: 1_000 }), add(HOSTS, host('192.0.2.2'))]);
    await bench.pass(2_200);
    assert.deepEqual(await contents(kernel, HOSTS), ['192.0.2.2']);
  });

  loaded('deleting what is not there is no error, and a flush empties', async (kernel) => {
    await kernel.change([add(NETS, span('192.0.2.0/24')), add(NETS, span('198.51.100.0/24'))]);
    await kernel.change([
      { op: 'delete', set: NETS, ...span('203.0.113.0/24') },
      { op: 'delete', set: NETS, ...span('192.0.2.0/24') },
    ]);
    assert.deepEqual(await contents(kernel, NETS), ['198.51.100.0-198.51.100.255']);
    await kernel.change([{ op: 'flush', set: NETS }]);
    assert.deepEqual(await contents(kernel, NETS), []);
  });

  loaded('an exception from a wider network is told apart', async (kernel) => {
    await kernel.change([add(NETS, span('192.0.2.0/24')), add(NETS, span('192.0.2.8/29'), { nomatch: true })]);
    assert.equal((await kernel.get(NETS, span('192.0.2.8/29')))?.nomatch, true);
    assert.equal((await kernel.get(NETS, span('192.0.2.0/24')))?.nomatch, undefined);
  });

  loaded('a full set refuses what does not fit', async (kernel) => {
    const four = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];
    await kernel.change(four.map((text) => add(HOSTS, host(text))));
    await assert.rejects(kernel.change([add(HOSTS, host('192.0.2.5'))]), { code: 'full' });
    assert.deepEqual(await contents(kernel, HOSTS), four);
  });

  loaded('a replacement is all there is afterwards; one that does not fit leaves what was', async (kernel) => {
    await kernel.change([add(HOSTS, host('192.0.2.1'))]);
    await kernel.replace(HOSTS, [add(HOSTS, host('192.0.2.2')), add(HOSTS, host('192.0.2.3'))]);
    assert.deepEqual(await contents(kernel, HOSTS), ['192.0.2.2', '192.0.2.3']);
    const five = [11, 12, 13, 14, 15].map((last) => add(HOSTS, host(`192.0.2.${last}`)));
    await assert.rejects(kernel.replace(HOSTS, five), { code: 'full' });
    assert.deepEqual(await contents(kernel, HOSTS), ['192.0.2.2', '192.0.2.3']);
  });

  loaded('counters are not read and zeroed in one step', async (kernel) => {
    await assert.rejects(kernel.dump(HOSTS, { reset: true }), { code: 'unsupported' });
  });

  loaded(
    'a restart finds the contents, a larger set takes them over, and what a plan no longer has is dropped',
    async (kernel, bench) => {
      await kernel.change([add(HOSTS, host('192.0.2.1')), add(NETS, span('192.0.2.0/24'))]);
      const next = await bench.reopened();
      const before = planWith(ipsets);
      await next.adopt(before.manifest);
      assert.deepEqual([...(await next.ipsets())].sort(), [
        ['pt-hosts', 1],
        ['pt-nets', 1],
      ]);
      const after = planWith([{ ...ipsets[0]!, size: 100 }]);
      await next.load(after, before.manifest);
      assert.deepEqual([...(await next.ipsets())], [['pt-hosts', 1]]);
      assert.deepEqual(await contents(next, HOSTS), ['192.0.2.1']);
      await next.load(before, after.manifest);
      assert.deepEqual(await contents(next, NETS), []);
      await next.close();
    },
  );
}
