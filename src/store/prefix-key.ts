/** The key of a prefix in records that travel: `4` or `6`, the address in hex, the length as two hex digits. */

import { addressBits, type Prefix } from '../net/address.js';

/** `192.0.2.10/32` → `4c000020a20`. */
export function prefixKey(prefix: Prefix): string {
  const digits = addressBits(prefix.family) / 4;
  return `${prefix.family}${prefix.value.toString(16).padStart(digits, '0')}${prefix.length.toString(16).padStart(2, '0')}`;
}
