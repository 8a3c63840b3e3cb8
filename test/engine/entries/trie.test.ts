import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrefixTrie } from '../../../src/engine/entries/trie.js';
import type { Family, Prefix } from '../../../src/net/address.js';
import { comparePrefixes, prefixCovers, prefixLast } from '../../../src/net/prefix.js';
import { nestedPrefix } from './nested-prefix.js';

const ascending = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

const operations = (family: Family) =>
  fc.array(fc.tuple(fc.constantFrom('set', 'set', 'delete'), nestedPrefix(family), fc.nat(5)), { maxLength: 60 });

for (const family of [4, 6] as const) {
  const bits = family === 4 ? 32 : 128;

  test(`an IPv${family} trie holds what a list would hold, in order`, () => {
    fc.assert(
      fc.property(operations(family), nestedPrefix(family), (steps, wanted) => {
        const trie = new PrefixTrie<number>(family);
        const list = new Map<string, { prefix: Prefix; of: number }>();
        for (const [step, prefix, of] of steps) {
          const key = `${prefix.value}/${prefix.length}`;
          if (step === 'set') {
            trie.set(prefix.value, prefix.length, of);
            list.set(key, { prefix, of });
          } else {
            assert.equal(trie.delete(prefix.value, prefix.length), list.get(key)?.of);
            list.delete(key);
          }
        }
        const sorted = [...list.values()].sort((a, b) => comparePrefixes(a.prefix, b.prefix));
        const flat = (entries: typeof sorted) =>
          entries.map(({ prefix, of }) => ({ value: prefix.value, length: prefix.length, of }));
        const copy = trie.copy();
        assert.equal(trie.size, list.size);
        assert.deepEqual([...trie], flat(sorted));
        assert.deepEqual(
          [...trie.within(wanted.value, wanted.length)],
          flat(sorted.filter((e) => prefixCovers(wanted, e.prefix))),
        );
        assert.deepEqual(
          trie.covering(wanted.value, wanted.length),
          flat(sorted.filter((e) => prefixCovers(e.prefix, wanted))),
        );
        const isTop = (e: (typeof sorted)[number]) =>
          !sorted.some((other) => other !== e && prefixCovers(other.prefix, e.prefix));
        assert.deepEqual(
          Array.from(trie.tops(), (node) => trie.at(node)),
          flat(sorted.filter(isTop)),
        );
        assert.deepEqual(
          [...trie.tops()].flatMap((node) => [...trie.from(node)]),
          flat(sorted),
        );
        for (const { prefix, of } of sorted) assert.equal(trie.get(prefix.value, prefix.length), of);
        for (const { prefix } of sorted) trie.delete(prefix.value, prefix.length);
        assert.deepEqual([...trie], []);
        assert.deepEqual([...copy], flat(sorted));
      }),
    );
  });

  test(`an IPv${family} prefix is alone when no other covers it or lies in it`, () => {
    fc.assert(
      fc.property(fc.array(nestedPrefix(family), { maxLength: 8 }), nestedPrefix(family), (prefixes, wanted) => {
        const trie = new PrefixTrie<true>(family);
        for (const { value, length } of prefixes) trie.set(value, length, true);
        const touches = (other: Prefix) => prefixCovers(other, wanted) || prefixCovers(wanted, other);
        const others = prefixes.filter((other) => comparePrefixes(other, wanted) !== 0);
        assert.equal(trie.isAlone(wanted.value, wanted.length), !others.some(touches));
      }),
    );
  });

  test(`the gap around an IPv${family} prefix is what its nearest covering entry alone decides on`, () => {
    fc.assert(
      fc.property(fc.array(nestedPrefix(family), { maxLength: 40 }), nestedPrefix(family), (prefixes, wanted) => {
        const trie = new PrefixTrie<true>(family);
        for (const { value, length } of prefixes) trie.set(value, length, true);
        const cover = prefixes
          .filter((p) => p.length < wanted.length && prefixCovers(p, wanted))
          .sort((a, b) => b.length - a.length)[0];
        const beside = prefixes.filter(
          (p) =>
            cover &&
            prefixCovers(cover, p) &&
            p.length > cover.length &&
            !prefixCovers(wanted, p) &&
            !prefixCovers(p, wanted),
        );
        const before = beside.map(prefixLast).filter((last) => last < wanted.value);
        const after = beside.map((p) => p.value).filter((first) => first > prefixLast(wanted));
        const firsts = [cover?.value ?? wanted.value, ...before.map((last) => last + 1n)].sort(ascending);
        const lasts = [prefixLast(cover ?? wanted), ...after.map((first) => first - 1n)].sort(ascending);
        const expected = { first: firsts.at(-1), last: lasts[0] };
        assert.deepEqual(trie.gap(wanted.value, wanted.length), expected);
      }),
    );
  });

  test(`the node of an IPv${family} entry stays the same while others come and go`, () => {
    fc.assert(
      fc.property(nestedPrefix(family), operations(family), (kept, steps) => {
        const trie = new PrefixTrie<number>(family);
        const node = trie.set(kept.value, kept.length, 7);
        for (const [step, prefix, of] of steps) {
          if (prefix.value === kept.value && prefix.length === kept.length) continue;
          if (step === 'set') trie.set(prefix.value, prefix.length, of);
          else trie.delete(prefix.value, prefix.length);
        }
        assert.equal(trie.find(kept.value, kept.length), node);
        assert.deepEqual(trie.at(node), { value: kept.value, length: kept.length, of: 7 });
      }),
    );
  });

  test(`an IPv${family} trie gives the room of deleted entries to new ones`, () => {
    const trie = new PrefixTrie<number>(family);
    const nodes = new Set<number>();
    for (let round = 0; round < 20; round++) {
      for (let i = 0n; i < 50n; i++) nodes.add(trie.set(i << 3n, bits, round));
      for (let i = 0n; i < 50n; i++) trie.delete(i << 3n, bits);
    }
    assert.ok(nodes.size <= 100, `${nodes.size} nodes for 50 entries`);
  });
}
