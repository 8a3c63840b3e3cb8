/** Random addresses, prefixes and ranges for property tests. */

import fc from 'fast-check';
import {
  type Address,
  type AddressRange,
  addressBits,
  type Family,
  highestValue,
  type Prefix,
} from '../../src/net/address.js';
import { prefixOf } from '../../src/net/prefix.js';

export const families = fc.constantFrom<Family>(4, 6);

export function addressesOf(family: Family): fc.Arbitrary<Address> {
  return fc.bigInt({ min: 0n, max: highestValue(family) }).map((value) => ({ family, value }));
}

export const addresses: fc.Arbitrary<Address> = families.chain(addressesOf);

export const prefixes: fc.Arbitrary<Prefix> = addresses.chain((address) =>
  fc.integer({ min: 0, max: addressBits(address.family) }).map((length) => prefixOf(address, length)),
);

export const ranges: fc.Arbitrary<AddressRange> = families.chain((family) =>
  fc
    .tuple(fc.bigInt({ min: 0n, max: highestValue(family) }), fc.bigInt({ min: 0n, max: highestValue(family) }))
    .map(([a, b]) => (a < b ? { family, first: a, last: b } : { family, first: b, last: a })),
);
