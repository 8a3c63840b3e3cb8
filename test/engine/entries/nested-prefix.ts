import fc from 'fast-check';
import type { Family, Prefix } from '../../../src/net/address.js';
import { prefixOf } from '../../../src/net/prefix.js';

/** Prefixes that often nest: few distinct addresses, all lengths. */
export function nestedPrefix(family: Family): fc.Arbitrary<Prefix> {
  const bits = family === 4 ? 32 : 128;
  const value = fc.oneof(
    { arbitrary: fc.bigInt(0n, 15n).map((n) => n << BigInt(bits - 4)), weight: 1 },
    { arbitrary: fc.bigInt(0n, 31n).map((n) => (10n << BigInt(bits - 8)) | n), weight: 4 },
    { arbitrary: fc.bigInt(0n, (1n << BigInt(bits)) - 1n), weight: 1 },
  );
  const length = fc.oneof(fc.integer({ min: 0, max: bits }), fc.integer({ min: bits - 6, max: bits }));
  return fc.tuple(value, length).map(([address, len]) => prefixOf({ family, value: address }, len));
}
