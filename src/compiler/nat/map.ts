/** `map A to B`: one to one in both directions, before the filter and after it. */

import { addressOf } from '../../extensions/address-field.js';
import type { ActionFragment } from '../../extensions/fragment.js';
import { type AddressRange, formatAddress } from '../../net/address.js';
import { rangePrefix } from '../../net/prefix.js';
import { dnat, lookup, snat } from '../../nft/build.js';
import type { Expression, NatTarget } from '../../nft/model.js';
import { rangeExpression } from '../../nft/range.js';
import type { Action } from '../../policy/ast.js';
import type { RuleSite } from '../site.js';

/** Addresses that are no prefix are written one by one; more than these are a mistake. */
const mostAddresses = 256;

export function mapping({ inside, outside }: Extract<Action, { action: 'map' }>, site: RuleSite): ActionFragment {
  const { family } = inside;
  if (outside.family !== family) return site.refuse("IPv4 and IPv6 addresses can't be mapped to each other");
  if (sizeOf(inside) !== sizeOf(outside)) {
    return site.refuse('both sides of a map need the same number of addresses');
  }
  refuseOtherWords(site);
  const arriving = site.runsIn('prerouting');
  const [from, to] = arriving ? [outside, inside] : [inside, outside];
  const field = addressOf(arriving ? 'destination' : 'source', family);
  const target: NatTarget = { family: family === 4 ? 'ip' : 'ip6', ...mapOf(field, from, to, site) };
  const statement = arriving ? dnat(target) : snat(target);
  return { lines: [{ family, statements: [statement] }], inline: true, final: true, families: [family] };
}

/** The same words have to be right for both directions. */
function refuseOtherWords(site: RuleSite): void {
  const other = site.ast.matches.find(({ word }) => !['in', 'out', 'via', 'family'].includes(word));
  if (other === undefined) return;
  site
    .from(other.at)
    .refuse(
      'a map is about addresses in both directions and takes "via" or "on" alone',
      'write a dnat and a snat rule for some of the traffic',
    );
}

const sizeOf = ({ first, last }: AddressRange): bigint => last - first + 1n;

function mapOf(
  field: Expression,
  from: AddressRange,
  to: AddressRange,
  site: RuleSite,
): Pick<NatTarget, 'addr' | 'prefix'> {
  if (from.first !== from.last && rangePrefix(from) !== undefined && rangePrefix(to) !== undefined) {
    return { addr: lookup(field, [[rangeExpression(from), rangeExpression(to)]]), prefix: true };
  }
  const size = sizeOf(from);
  if (size > BigInt(mostAddresses)) {
    return site.refuse(
      `${size} addresses that are no prefix are too many to map`,
      'map prefixes, or parts of the range',
    );
  }
  const text = ({ family, first }: AddressRange, index: number) =>
    formatAddress({ family, value: first + BigInt(index) });
  const entries = Array.from({ length: Number(size) }, (_, index) => [text(from, index), text(to, index)] as const);
  return { addr: lookup(field, entries) };
}
