/** `map A to B`: one to one in both directions, before the filter and after it. Addresses or prefixes of one size. */

import { addressOf } from '../../extensions/address-field.js';
import type { ActionFragment } from '../../extensions/fragment.js';
import type { AddressRange } from '../../net/address.js';
import { dnat, lookup, match, snat } from '../../nft/build.js';
import type { Expression, NatTarget } from '../../nft/model.js';
import { rangeExpression } from '../../nft/range.js';
import type { Action } from '../../policy/ast.js';
import type { RuleSite } from '../site.js';
import type { Condition } from '../weave.js';

type MapAction = Extract<Action, { action: 'map' }>;

interface Mapping {
  readonly field: Expression;
  readonly from: AddressRange;
  readonly to: AddressRange;
}

/** What is replaced by what on the way in, or on the way out. */
function direction({ inside, outside }: MapAction, arriving: boolean): Mapping {
  const field = addressOf(arriving ? 'destination' : 'source', inside.family);
  return arriving ? { field, from: outside, to: inside } : { field, from: inside, to: outside };
}

/** The packets that the map is about; without it the rule would count those that are not in the map. */
export function mapped(action: MapAction, arriving: boolean): Condition {
  const { field, from } = direction(action, arriving);
  return { fragment: { anyOf: [{ family: from.family, statements: [match(field, rangeExpression(from))] }] } };
}

export function mapping(action: MapAction, site: RuleSite): ActionFragment {
  const arriving = site.runsIn('prerouting');
  const { field, from, to } = direction(action, arriving);
  const { family } = from;
  const target: NatTarget = {
    family: family === 4 ? 'ip' : 'ip6',
    addr: lookup(field, [[rangeExpression(from), rangeExpression(to)]]),
    ...(from.first !== from.last && { prefix: true }),
  };
  const statement = arriving ? dnat(target) : snat(target);
  return { lines: [{ family, statements: [statement] }], inline: true, final: true, families: [family] };
}
