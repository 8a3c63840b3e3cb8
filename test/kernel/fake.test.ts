/** What the fake has for tests; how it behaves as a kernel stands in behaviour.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PosternError } from '../../src/errors.js';
import { fakeKernel } from '../../src/kernel/fake.js';
import { FakeSet } from '../../src/kernel/fake-set.js';
import { parseAddress } from '../../src/net/address.js';
import type { NftSet } from '../../src/nft/model.js';
import { host } from './behaviour.js';
import { planOf } from './plan.js';

const bans: NftSet = {
  name: 'bans',
  key: { type: ['ipv4_addr'] },
  flags: ['dynamic', 'timeout'],
  size: 2,
  timeoutMs: 5000,
  counter: true,
};
const plan = planOf({
  tables: [{ family: 'inet', name: 'postern', objects: [{ kind: 'counter', name: 'c' }], sets: [bans], chains: [] }],
});

test('a fault that a test asks for fails the next call and changes nothing', async () => {
  const kernel = fakeKernel();
  await kernel.load(plan, undefined);
  kernel.failNext(new PosternError('busy', 'out of memory'));
  await assert.rejects(kernel.change([{ op: 'add', set: 0, ...host('192.0.2.1') }]), { code: 'busy' });
  assert.deepEqual(await kernel.dump(0), []);
  await kernel.change([{ op: 'add', set: 0, ...host('192.0.2.1') }]);
  assert.equal((await kernel.dump(0)).length, 1);
});

test('packets add elements with the default timeout, and find a full set full', async () => {
  let now = 0;
  const kernel = fakeKernel({ now: () => now });
  await kernel.load(plan, undefined);
  const from = (last: number) => kernel.packets(0, host(`192.0.2.${last}`).key, 1, 60);
  assert.deepEqual([from(1), from(2), from(3), from(1)], [true, true, false, true]);
  const [first] = await kernel.dump(0);
  assert.deepEqual([first?.packets, first?.bytes, first?.timeoutMs], [2n, 120n, 5000]);
  now = 5001;
  assert.deepEqual(await kernel.dump(0), []);
  assert.equal(from(3), true);
});

test('loads that change something are counted, and killed connections are remembered', async () => {
  const kernel = fakeKernel();
  await kernel.load(plan, undefined);
  await kernel.load(plan, plan.manifest);
  assert.equal(kernel.loads, 1);
  await kernel.killStates(parseAddress('192.0.2.1'));
  assert.deepEqual(kernel.killed, [parseAddress('192.0.2.1')]);
});

test('a closed edge is closed, the kernel behind it is not', async () => {
  const kernel = fakeKernel();
  await kernel.load(plan, undefined);
  kernel.countPackets(0, 3, 180);
  await kernel.close();
  await assert.rejects(kernel.dump(0), { code: 'internal' });
  const other = kernel.reopened();
  await other.adopt(plan.manifest);
  assert.deepEqual(await other.object(0), { packets: 3n, bytes: 180n });
});

test('overlaps are found as a plain search finds them', () => {
  const shape = {
    name: 's',
    types: ['inet_service'],
    interval: true,
    timeout: true,
    counter: false,
    size: undefined,
    defaultTimeoutMs: undefined,
  };
  const bytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 255);
  const step = fc.record({
    first: fc.nat(300),
    length: fc.nat(20),
    wait: fc.nat(3),
    timeoutMs: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 0;
      const set = new FakeSet(shape, () => now);
      let plain: { first: number; last: number; until: number }[] = [];
      for (const { first, length, wait, timeoutMs } of steps) {
        now += wait;
        plain = plain.filter(({ until }) => until > now);
        const last = first + length;
        const same = plain.find((other) => other.first === first && other.last === last);
        const overlaps = plain.some((other) => other.first <= last && first <= other.last);
        const add = () => set.add({ key: bytes(first), keyEnd: bytes(last), timeoutMs });
        if (overlaps && same === undefined) assert.throws(add, { code: 'kernel' });
        else {
          add();
          if (same) same.until = now + timeoutMs;
          else plain.push({ first, last, until: now + timeoutMs });
        }
        assert.equal(set.length, plain.length);
      }
    }),
  );
});
