/** Addresses of the policy as values of the ruleset. */

import { type AddressRange, formatAddress } from '../net/address.js';
import { rangePrefix } from '../net/prefix.js';
import { prefix, range } from './build.js';
import type { Expression } from './model.js';

/** An address, a prefix or a range, as nft writes it. */
export function rangeExpression(addresses: AddressRange): Expression {
  const { family, first, last } = addresses;
  const text = (value: bigint) => formatAddress({ family, value });
  if (first === last) return text(first);
  const whole = rangePrefix(addresses);
  return whole === undefined ? range(text(first), text(last)) : prefix(text(first), whole.length);
}
