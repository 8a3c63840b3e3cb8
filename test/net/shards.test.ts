import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, type AddressRange, addressBits, type Family, formatAddress } from '../../src/net/address.js';
import { prefixOf, prefixRange } from '../../src/net/prefix.js';
import { isInShard, shardCount, shardMask, shardsOf, shardValue } from '../../src/net/shards.js';

const shardOf = ({ family, value }: Address): number =>
  Array.from({ length: shardCount }, (_, shard) => shard).find(
    (shard) => (value & shardMask(family)) === shardValue(family, shard),
  )!;

const range = fc.constantFrom<Family>(4, 6).chain((family) => {
  const bits = addressBits(family);
  const value = fc.bigInt(0n, (1n << BigInt(bits)) - 1n);
  return fc.tuple(value, fc.integer({ min: 0, max: bits }), fc.bigInt(0n, 1n << 64n)).map(([at, length, more]) => {
    const { first, last } = prefixRange(prefixOf({ family, value: at }, length));
    const end = last + more < 1n << BigInt(bits) ? last + more : last;
    return { family, first, last: end };
  });
});

/** Addresses at the borders of a range, and of each shard in it. */
function samples({ family, first, last }: AddressRange): Address[] {
  const step = shardValue(family, 1);
  const found = [first, last];
  for (let value = (first / step + 1n) * step, count = 0; value <= last && count < 2 * shardCount; value += step) {
    found.push(value - 1n, value);
    count++;
  }
  return found.map((value) => ({ family, value }));
}

test('a range is in the shards of its addresses, and in no others', () => {
  fc.assert(
    fc.property(range, (one) => {
      const shards = new Set(samples(one).map(shardOf));
      assert.deepEqual(
        shardsOf(one).sort((a, b) => a - b),
        [...shards].sort((a, b) => a - b),
      );
      for (let shard = 0; shard < shardCount; shard++) assert.equal(isInShard(one, shard), shards.has(shard));
    }),
  );
});

test('the bits of a shard are those of the second octet, and of the end of a /29', () => {
  assert.equal(formatAddress({ family: 4, value: shardMask(4) }), '0.248.0.0');
  assert.equal(formatAddress({ family: 6, value: shardMask(6) }), '0:f8::');
});
