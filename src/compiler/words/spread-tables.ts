/** Looks into tables that are spread over several sets: of each, into the one that an address can be in. */

import { endingChain } from '../../extensions/decision.js';
import type { Line } from '../../extensions/fragment.js';
import { type Family, formatAddress } from '../../net/address.js';
import { shardMask, shardValue } from '../../net/shards.js';
import { and, goto, match, setRef, vmap } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import type { RuleSite } from '../site.js';

/** What an address of a family is compared with. Tables stand here as their sets, by shard. */
export interface SpreadLook {
  readonly family: Family;
  readonly address: Expression;
  readonly site: RuleSite;
  /** Ways to be one of the members that are no such tables. */
  readonly ways: readonly (readonly Statement[])[];
  readonly any: readonly (readonly string[])[];
  /** What keeps those members out that are no such tables and have `not`. */
  readonly excluded: readonly Statement[];
  readonly not: readonly (readonly string[])[];
}

/** Lines that run `matched` for addresses that are one of the members and none with `not`, and `others` for the rest. */
export function decideSpread(
  look: SpreadLook,
  matched: readonly Statement[],
  others: readonly Statement[],
): readonly Line[] {
  const { family, ways, excluded } = look;
  const take = [...excluded, ...matched];
  const inTables = look.any.reduceRight<readonly Line[]>(
    (rest, sets) => dispatch(look, sets, take, rest),
    [{ statements: others }],
  );
  const inside = [...ways.map((way): Line => ({ family, statements: [...way, ...take] })), ...inTables];
  return look.not.reduceRight<readonly Line[]>((rest, sets) => dispatch(look, sets, others, rest), inside);
}

/** Looks into the table: runs `hit` for addresses that are in, and the rest for those that aren't, or that `hit` leaves. */
function dispatch(
  { family, address, site }: SpreadLook,
  sets: readonly string[],
  hit: readonly Statement[],
  rest: readonly Line[],
): readonly Line[] {
  const literal = (value: bigint) => formatAddress({ family, value });
  const [only] = rest;
  const isPlain = rest.length === 1 && only!.family === undefined;
  const next = isPlain ? only!.statements : [goto(endingChain(`rest${family}`, site, rest))];
  const targets = sets.map((set, shard) => {
    const lines = [{ family, statements: [match(address, setRef(set)), ...hit] }, { statements: next }];
    return [literal(shardValue(family, shard)), goto(endingChain(`shard${family}`, site, lines))] as const;
  });
  return [{ family, statements: [vmap(and(address, literal(shardMask(family))), targets)] }];
}
