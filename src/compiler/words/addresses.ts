/** `from` and `to`: literals, tables, networks and addresses of interfaces, `me`. */

import { addressOf } from '../../extensions/address-field.js';
import { always, type Line, type MatchFragment } from '../../extensions/fragment.js';
import type { AddressRange, Family } from '../../net/address.js';
import { everything, rangePrefix } from '../../net/prefix.js';
import { mergeRanges, subtractRanges } from '../../net/ranges.js';
import { fib, match, oneOf, setRef } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import { rangeExpression } from '../../nft/range.js';
import type { AddressTerm, Choice, Match } from '../../policy/ast.js';
import { interfaceSet } from '../interface-sets.js';
import type { RuleSite } from '../site.js';
import { bothFamilies } from '../weave.js';
import { decideSpread, type SpreadLook } from './spread-tables.js';

type AddressMatch = Extract<Match, { word: 'from' | 'to' }>;
type Side = 'source' | 'destination';

/**
 * The packet matches when it is one of the plain members (anything, if there are none) and none of the `not` members.
 */
export function addresses({ word, addresses: choice }: AddressMatch, site: RuleSite): MatchFragment {
  if (choice === 'any') return always;
  const look: Look = { side: word === 'from' ? 'source' : 'destination', site };
  refuseEmpty(choice, site);
  const families = familiesOf(choice.any, choice.not);
  if (spread([...choice.any, ...choice.not], 4, look).length > 0) {
    return {
      families,
      decide: (matched, others) => [
        ...families.flatMap((family) => decideSpread(spreadLook(choice, family, look), matched, others)),
        { statements: others },
      ],
    };
  }
  const lines = families.flatMap((family) => {
    const excluded = outside(choice.not, family, look);
    return inside(choice.any, family, look).map((way): Line => ({ family, statements: [...way, ...excluded] }));
  });
  return { anyOf: dependOnFamily([...choice.any, ...choice.not], lines) ? lines : sameForBoth(lines) };
}

interface Look {
  readonly side: Side;
  readonly site: RuleSite;
}

/** Literals that exclude all of the literals. */
function refuseEmpty({ any, not }: Choice<AddressTerm>, site: RuleSite): void {
  const isLiteral = any.length === 0 || any.every((term) => term.kind === 'range');
  const left = bothFamilies.flatMap((family) => {
    const whole = any.length === 0 ? [everything(family)] : literalsOf(any, family);
    return subtractRanges(whole, literalsOf(not, family));
  });
  if (isLiteral && left.length === 0) site.refuse('the exceptions leave no address');
}

/** The families that the plain members have, or, without any, the `not` members. */
function familiesOf(any: readonly AddressTerm[], not: readonly AddressTerm[]): readonly Family[] {
  const terms = any.length > 0 ? any : not;
  return bothFamilies.filter((family) => terms.some((term) => term.kind !== 'range' || term.range.family === family));
}

/** Only what the kernel is asked by `fib` is the same for both families. */
const dependOnFamily = (terms: readonly AddressTerm[], lines: readonly Line[]): boolean =>
  terms.some(({ kind }) => kind === 'range' || kind === 'table') || !lines.every(asksKernel);

const asksKernel = ({ statements }: Line): boolean =>
  statements.every((statement) => 'match' in statement && Object.hasOwn(Object(statement.match.left), 'fib'));

const sameForBoth = (lines: readonly Line[]): Line[] =>
  lines.filter(({ family }) => family === 4).map(({ statements }) => ({ statements }));

/** Ways to be one of the members. */
function inside(terms: readonly AddressTerm[], family: Family, look: Look): readonly (readonly Statement[])[] {
  if (terms.length === 0) return [[]];
  const literals = literalsOf(terms, family);
  const ways = terms.flatMap((term) => lookups(term, family, look)).map(({ left, right }) => [match(left, right)]);
  return literals.length === 0 ? ways : [within(literals, family, look), ...ways];
}

/** What keeps the excluded members out. */
function outside(terms: readonly AddressTerm[], family: Family, look: Look): Statement[] {
  const literals = literalsOf(terms, family);
  return [
    ...(literals.length === 0 ? [] : [match(addressOf(look.side, family), oneOf(literals.map(rangeExpression)), '!=')]),
    ...terms.flatMap((term) => lookups(term, family, look)).map(({ left, right }) => match(left, right, '!=')),
  ];
}

/** Every address of the family needs no comparison. */
function within(literals: readonly AddressRange[], family: Family, { side }: Look): Statement[] {
  const [only] = literals;
  if (literals.length === 1 && only !== undefined && rangePrefix(only)?.length === 0) return [];
  return [match(addressOf(side, family), oneOf(literals.map(rangeExpression)))];
}

const literalsOf = (terms: readonly AddressTerm[], family: Family): AddressRange[] =>
  mergeRanges(terms.flatMap((term) => (term.kind === 'range' && term.range.family === family ? [term.range] : [])));

/** The shards of the tables that have several: with them, each address is looked for in one. */
const spread = (terms: readonly AddressTerm[], family: Family, { site }: Look): (readonly string[])[] =>
  terms
    .flatMap((term) => (term.kind === 'table' ? [site.from(term.at).table(term.table).prefixes(family)] : []))
    .filter((sets) => sets.length > 1);

const spreadLook = ({ any, not }: Choice<AddressTerm>, family: Family, look: Look): SpreadLook => ({
  family,
  address: addressOf(look.side, family),
  site: look.site,
  ways: inside(any, family, look),
  any: spread(any, family, look),
  excluded: outside(not, family, look),
  not: spread(not, family, look),
});

interface Lookup {
  readonly left: Expression;
  readonly right: Expression;
}

/** What a table, an interface or `me` is looked up in, but for the shards of a table. */
function lookups(term: AddressTerm, family: Family, { side, site }: Look): Lookup[] {
  const left = addressOf(side, family);
  switch (term.kind) {
    case 'range':
      return [];
    case 'table': {
      const sets = site.from(term.at).table(term.table);
      const prefixes = sets.prefixes(family);
      // Of several, each for its own addresses: `spread`.
      return [sets.hosts(family), ...(prefixes.length === 1 ? prefixes : [])].map((name) => ({
        left,
        right: setRef(name),
      }));
    }
    case 'me':
      return [{ left: fib([side === 'source' ? 'saddr' : 'daddr'], 'type'), right: 'local' }];
    case 'interface': {
      if (term.part === 'address' && side === 'destination' && arrivesOn(term.device, site)) {
        site
          .from(term.at)
          .note(`${term.interface}:address is asked of the kernel, for the device that the packet came by`);
        return [{ left: fib(['daddr', 'iif'], 'type'), right: 'local' }];
      }
      const set = interfaceSet(site.from(term.at), term, family);
      site
        .from(term.at)
        .note(`${term.interface}:${term.part} are sets that the daemon keeps in step with ${term.device}`);
      return [{ left, right: setRef(set) }];
    }
  }
}

/** Then the kernel knows the addresses itself: `fib daddr . iif` is for hooks that have an input device. */
function arrivesOn(device: string, site: RuleSite): boolean {
  if (!site.hooks.every((hook) => hook === 'prerouting' || hook === 'input')) return false;
  return site.ast.matches.some(
    (word) =>
      word.word === 'in' &&
      word.interfaces !== 'any' &&
      word.interfaces.any.length > 0 &&
      word.interfaces.any.every((term) => term.device === device),
  );
}
