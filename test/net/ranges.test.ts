import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AddressRange, addressBits, type Family, highestValue, type Prefix } from '../../src/net/address.js';
import { PackedRanges } from '../../src/net/packed-ranges.js';
import { formatPrefix, formatRange, parsePrefix, parseRange, prefixRange } from '../../src/net/prefix.js';
import { aggregatePrefixes, flattenNested, mergeRanges, rangePrefixes, subtractRanges } from '../../src/net/ranges.js';
import { ranges } from './arbitraries.js';

/** A window of 256 addresses, so that a bitmap can be the reference; at both ends of each family's space. */
const windowSize = 256;

interface Window {
  readonly family: Family;
  readonly base: bigint;
}

const windows = fc.constantFrom<Window>(
  { family: 4, base: 0n },
  { family: 4, base: 0xc000_0200n },
  { family: 4, base: highestValue(4) - 255n },
  { family: 6, base: 0n },
  { family: 6, base: (0x2001_0db8n << 96n) + (1n << 64n) - 128n },
  { family: 6, base: highestValue(6) - 255n },
);

const offsets = fc.integer({ min: 0, max: windowSize - 1 });

function rangesIn({ family, base }: Window): fc.Arbitrary<AddressRange[]> {
  const one = fc.tuple(offsets, offsets).map(([a, b]) => ({
    family,
    first: base + BigInt(Math.min(a, b)),
    last: base + BigInt(Math.max(a, b)),
  }));
  return fc.array(one, { maxLength: 12 });
}

function bitmap(window: Window, list: Iterable<AddressRange>): boolean[] {
  const bits = new Array<boolean>(windowSize).fill(false);
  for (const { first, last } of list) {
    for (let value = first; value <= last; value++) bits[Number(value - window.base)] = true;
  }
  return bits;
}

function assertMerged(list: readonly AddressRange[]): void {
  for (let i = 1; i < list.length; i++)
    assert.ok(list[i]!.first > list[i - 1]!.last + 1n, 'disjoint, and not touching');
}

test('merging and subtracting agree with a bitmap', () => {
  const cases = windows.chain((window) => fc.tuple(fc.constant(window), rangesIn(window), rangesIn(window)));
  fc.assert(
    fc.property(cases, ([window, list, without]) => {
      const merged = mergeRanges(list);
      assertMerged(merged);
      assert.deepEqual(bitmap(window, merged), bitmap(window, list));
      const left = subtractRanges(list, without);
      assertMerged(left);
      const holes = bitmap(window, without);
      assert.deepEqual(
        bitmap(window, left),
        bitmap(window, list).map((set, i) => set && !holes[i]),
      );
    }),
    { numRuns: 500 },
  );
});

test('packed ranges agree with merged ones', () => {
  const cases = windows.chain((window) => fc.tuple(fc.constant(window), rangesIn(window)));
  fc.assert(
    fc.property(cases, ([window, list]) => {
      const packed = new PackedRanges(window.family);
      for (const range of list) packed.add(range);
      assert.deepEqual([...packed], mergeRanges(list));
      const bits = bitmap(window, list);
      for (let i = 0; i < windowSize; i += 7) {
        assert.equal(packed.contains({ family: window.family, value: window.base + BigInt(i) }), bits[i]);
      }
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.array(ranges, { maxLength: 200 }), (list) => {
      for (const family of [4, 6] as const) {
        const packed = new PackedRanges(family);
        const own = list.filter((range) => range.family === family);
        for (const range of own) packed.add(range);
        assert.deepEqual([...packed], mergeRanges(own));
      }
    }),
  );
});

test('half a million packed ranges take 8 bytes each for IPv4 and 32 for IPv6', () => {
  const count = 500_000;
  for (const [family, bytesEach] of [
    [4, 8],
    [6, 32],
  ] as const) {
    const packed = new PackedRanges(family);
    // A full-cycle step, so that they come out of order.
    for (let i = 0; i < count; i++) {
      const first = BigInt((i * 7919) % count) * 4n;
      packed.add({ family, first, last: first + 1n });
    }
    packed.seal();
    assert.equal(packed.count, count);
    assert.equal(packed.bytes, count * bytesEach);
    assert.ok(packed.contains({ family, value: 4n * 123_456n + 1n }));
    assert.ok(!packed.contains({ family, value: 4n * 123_456n + 2n }));
    packed.add({ family, first: 0n, last: highestValue(family) });
    assert.deepEqual([...packed], [{ family, first: 0n, last: highestValue(family) }]);
  }
});

test('a packed list takes ranges of its own family only', () => {
  assert.throws(() => new PackedRanges(4).add(parseRange('::1')), RangeError);
});

test('a range splits into the fewest prefixes', () => {
  const split = (text: string) => rangePrefixes(parseRange(text)).map(formatPrefix);
  assert.deepEqual(split('192.0.2.1-192.0.2.6'), ['192.0.2.1', '192.0.2.2/31', '192.0.2.4/31', '192.0.2.6']);
  assert.deepEqual(split('0.0.0.0-255.255.255.255'), ['0.0.0.0/0']);
  assert.deepEqual(split('255.255.255.254-255.255.255.255'), ['255.255.255.254/31']);
  assert.deepEqual(split('::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), ['::/0']);
  fc.assert(
    fc.property(ranges, (range) => {
      const list = rangePrefixes(range);
      assert.deepEqual(mergeRanges(list.map(prefixRange)), [range]);
      assert.ok(list.length <= 2 * addressBits(range.family));
      // Fewest: no two neighbours make a wider prefix.
      for (let i = 1; i < list.length; i++) {
        const [a, b] = [list[i - 1]!, list[i]!];
        const bit = 1n << BigInt(addressBits(a.family) - a.length);
        assert.ok(a.length !== b.length || (a.value & bit) !== 0n);
      }
    }),
  );
});

test('aggregation joins halves, drops what is covered, and keeps families apart', () => {
  const list = ['192.0.2.128/25', '2001:db8:1::/48', '192.0.2.0/25', '192.0.2.7', '2001:db8::/48', '198.51.100.1'];
  assert.deepEqual(aggregatePrefixes(list.map(parsePrefix)).map(formatPrefix), [
    '192.0.2.0/24',
    '198.51.100.1',
    '2001:db8::/47',
  ]);
});

test('exceptions are cut out whatever their length', () => {
  const without = subtractRanges(
    ['10.0.0.0/8'].map(parseRange),
    ['10.1.2.3', '9.0.0.0/8', '11.0.0.0-12.0.0.0'].map(parseRange),
  );
  assert.deepEqual(without.map(formatRange), ['10.0.0.0-10.1.2.2', '10.1.2.4-10.255.255.255']);
});

test('in nested prefixes the longest decides', () => {
  const entries = [
    { prefix: parsePrefix('10.0.0.0/8') },
    { prefix: parsePrefix('10.1.0.0/16'), not: true },
    { prefix: parsePrefix('10.1.2.0/24') },
    { prefix: parsePrefix('10.1.2.3'), not: true },
    { prefix: parsePrefix('2001:db8::/32') },
    { prefix: parsePrefix('2001:db8::/32'), not: true },
  ];
  assert.deepEqual(flattenNested(entries).map(formatRange), [
    '10.0.0.0/16',
    '10.1.2.0-10.1.2.2',
    '10.1.2.4-10.1.2.255',
    '10.2.0.0-10.255.255.255',
  ]);
});

test('flattened nested prefixes agree with asking the longest prefix for each address', () => {
  const cases = windows.chain(({ family, base }) => {
    const entry = fc.tuple(offsets, fc.integer({ min: 0, max: 8 }), fc.boolean()).map(([offset, hostBits, not]) => {
      const shift = BigInt(hostBits);
      const prefix: Prefix = {
        family,
        value: ((base + BigInt(offset)) >> shift) << shift,
        length: addressBits(family) - hostBits,
      };
      return { prefix, not };
    });
    return fc.tuple(fc.constant({ family, base: (base >> 8n) << 8n }), fc.array(entry, { maxLength: 12 }));
  });
  fc.assert(
    fc.property(cases, ([window, entries]) => {
      const flat = flattenNested(entries);
      assertMerged(flat);
      for (const base of [window.base, window.base + 256n]) {
        for (let value = base; value < base + 256n; value++) {
          const inTable = flat.some((range) => range.first <= value && value <= range.last);
          assert.equal(inTable, longestSaysIn(entries, value));
        }
      }
    }),
    { numRuns: 300 },
  );
});

function longestSaysIn(entries: readonly { prefix: Prefix; not: boolean }[], value: bigint): boolean {
  const covering = entries.filter(({ prefix }) => {
    const { first, last } = prefixRange(prefix);
    return first <= value && value <= last;
  });
  const longest = Math.max(-1, ...covering.map(({ prefix }) => prefix.length));
  const deciding = covering.filter(({ prefix }) => prefix.length === longest);
  return deciding.length > 0 && deciding.every(({ not }) => !not);
}
