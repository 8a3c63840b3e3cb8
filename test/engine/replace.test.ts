import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { elementRange } from '../../src/engine/entries/element.js';
import type { Entry } from '../../src/engine/tables.js';
import { type AddressRange, addressBits, type Family } from '../../src/net/address.js';
import { prefixLast, prefixOf } from '../../src/net/prefix.js';
import { flattenNested, mergeRanges } from '../../src/net/ranges.js';
import { shardsOf } from '../../src/net/shards.js';
import { type Bench, bench, entries, entry, source, words } from './fixture.js';
import { heldIn, setsOf } from './kernel-content.js';

/** Of one set for each tier, and of several. */
const sizes = [100_000, 200_000];
const policy = (size: number) => `
version: 1
tables:
  feed: { size: ${size} }
chains:
  input:
    rules:
      - { from: <feed>, do: drop }
`;

async function held({ kernel, engine }: Bench): Promise<AddressRange[]> {
  const ranges: AddressRange[] = [];
  for (const family of [4, 6] as const) {
    for (const tier of ['hosts', 'prefixes'] as const) {
      ranges.push(...(await heldIn(kernel, engine, 'feed', tier, family)).map(elementRange));
    }
  }
  return mergeRanges(ranges);
}

/** Which addresses packets find in the table: each looks among the hosts, and in its shard. */
async function finds({ kernel, engine }: Bench, family: Family): Promise<(value: bigint) => boolean> {
  const dumped = async (set: number) => mergeRanges((await kernel.dump(set)).map(elementRange));
  const [hosts, ...prefixes] = await Promise.all(
    (['hosts', 'prefixes'] as const).flatMap((tier) => setsOf(engine, 'feed', tier, family)).map(dumped),
  );
  return (value) => {
    const [shard = 0] = prefixes.length > 1 ? shardsOf({ family, first: value, last: value }) : [];
    return has(hosts!, family, value) || has(prefixes[shard]!, family, value);
  };
}

const has = (ranges: readonly AddressRange[], family: Family, value: bigint) =>
  ranges.some((range) => range.family === family && range.first <= value && value <= range.last);

/** Lists that nest and overlap in a space of 4,096 networks, large enough for several transactions. */
const list = (family: Family): fc.Arbitrary<Entry[]> => {
  const bits = addressBits(family);
  const one = fc.record({
    value: fc.bigInt(0n, 0xfffn).map((n) => n << BigInt(bits - 12)),
    low: fc.bigInt(0n, 3n),
    length: fc.constantFrom(4, 7, 9, 10, 11, 12, 12, 12, bits, bits),
    not: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  });
  return fc.array(one, { minLength: 0, maxLength: 6_000, size: 'max' }).map((all) =>
    all.map(({ value, low, length, not }) => {
      const address = { family, value: length === bits ? value | low : value };
      return { prefix: prefixOf(address, length), not };
    }),
  );
};

/** Of equal prefixes the last counts. */
function flat(all: readonly Entry[]): AddressRange[] {
  return flattenNested(new Map(all.map((one) => [`${one.prefix.value}/${one.prefix.length}`, one])).values());
}

for (const [family, size] of [4, 6].flatMap((family) => sizes.map((size) => [family as Family, size] as const))) {
  test(`IPv${family}, size ${size}: while a table is replaced, no address that stays is ever out of it and none that never belonged is ever in it`, async () => {
    await fc.assert(
      fc.asyncProperty(list(family), list(family), async (before, after) => {
        const made = await bench(policy(size));
        const { engine, kernel } = made;
        await engine.tables.replace('feed', before, source);
        const [old, now] = [flat(before), flat(after)];
        assert.deepEqual(await held(made), old);
        const edges = [...before, ...after].flatMap(({ prefix }) => [prefix.value, prefixLast(prefix)]);
        const sample = edges.filter((_, index) => index % Math.ceil(edges.length / 300) === 0);
        const stays = sample.filter((value) => has(old, family, value) && has(now, family, value));
        const never = sample.filter((value) => !has(old, family, value) && !has(now, family, value));
        const change = kernel.change.bind(kernel);
        kernel.change = async (...args) => {
          await change(...args);
          const isIn = await finds(made, family);
          assert.deepEqual(
            stays.filter((value) => !isIn(value)),
            [],
            'out for a moment',
          );
          assert.deepEqual(never.filter(isIn), [], 'in for a moment');
        };
        await engine.tables.replace('feed', after, source);
        assert.deepEqual(await held(made), now);
        const isIn = await finds(made, family);
        for (const value of sample) assert.equal(isIn(value), has(now, family, value));
        await engine.stop();
      }),
      { numRuns: 8 },
    );
  });
}

test('a large replacement is several transactions, between which bans get through', async () => {
  const made = await bench(policy(100_000));
  const { engine, kernel } = made;
  const many = (offset: number) =>
    Array.from({ length: 9_000 }, (_, i) => ({
      prefix: prefixOf({ family: 4, value: BigInt((i + offset) * 512) << 8n }, 24),
    }));
  await engine.tables.replace('feed', many(0), source);
  const change = kernel.change.bind(kernel);
  const sizes: number[] = [];
  kernel.change = async (changes, options) => {
    sizes.push(changes.length);
    await change(changes, options);
  };
  const replacing = engine.tables.replace('feed', many(4_000), source);
  await engine.tables.add('feed', entries('203.0.113.1', '0.8.1.0/24'), source);
  const banAt = sizes.length;
  const count = await replacing;
  assert.ok(sizes.length > banAt + 2 && Math.max(...sizes) <= 4_001, sizes.join());
  assert.ok(count.added >= 4_000 && count.deleted >= 3_999);
  const shown = words(await engine.tables.show('feed'));
  assert.equal(shown.length, 9_002);
  assert.ok(shown.includes('203.0.113.1') && shown.includes('0.8.1.0/24'));
});

test('requests for a whole table come one after the other', async () => {
  const { engine } = await bench(policy(100_000));
  await Promise.all([
    engine.tables.replace('feed', entries('203.0.113.1'), source),
    engine.tables.flush('feed', source),
    engine.tables.replace('feed', [entry('203.0.113.2'), entry('203.0.113.2', 1_000)], source),
  ]);
  assert.deepEqual(words(await engine.tables.show('feed')), ['203.0.113.2']);
});
