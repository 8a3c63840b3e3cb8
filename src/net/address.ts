/** IPv4 and IPv6 addresses, prefixes and ranges as values that can't be wrong. */

/** 4 or 6. */
export type Family = 4 | 6;

/** One address; `value` is the address read as an unsigned big-endian integer of 32 or 128 bits. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A prefix; the bits of `value` below `length` are zero. A host is a prefix of full length. */
export interface Prefix {
  readonly family: Family;
  readonly value: bigint;
  readonly length: number;
}

/** All addresses from `first` to `last`, both included. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}
