/** `icmp`, for both families at once. */

import type { Line, MatchFragment } from '../../extensions/fragment.js';
import type { Family } from '../../net/address.js';
import { match, meta, oneOf, payload } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import type { IcmpTerm, Match } from '../../policy/ast.js';
import { bothFamilies } from '../weave.js';

export function icmp({ types: choice }: Extract<Match, { word: 'icmp' }>): MatchFragment {
  if (choice === 'any') return { anyOf: bothFamilies.map(anyMessage), disjoint: true };
  const { any, not } = choice;
  if (not.length === 0) return { anyOf: messages(any), disjoint: true };
  if (any.length === 0 && not.every(hasNoCode))
    return { anyOf: bothFamilies.map((family) => otherThan(not, family)), disjoint: true };
  const included = any.length === 0 ? bothFamilies.map(anyMessage) : messages(any);
  return {
    decide: (matched, others) => [...ended(messages(not), others), ...ended(included, matched)],
  };
}

const ended = (lines: readonly Line[], end: readonly Statement[]): Line[] =>
  lines.map((line) => ({ ...line, statements: [...line.statements, ...end] }));

const hasNoCode = ({ v4, v6 }: IcmpTerm): boolean => v4?.code === undefined && v6?.code === undefined;

/** A line for all messages of the family but these. */
function otherThan(terms: readonly IcmpTerm[], family: Family): Line {
  const types = [...new Set(terms.flatMap((term) => (family === 4 ? term.v4 : term.v6)?.type ?? []))];
  if (types.length === 0) return anyMessage(family);
  const names = oneOf(types.map((type) => typeName(type, family)));
  return { family, statements: [match(payload(family === 4 ? 'icmp' : 'icmpv6', 'type'), names, '!=')] };
}

const anyMessage = (family: Family): Line => ({
  family,
  statements: [match(meta('l4proto'), family === 4 ? 'icmp' : 'ipv6-icmp')],
});

/** A line for the bare types of each family, and one for each type with a code. */
function messages(terms: readonly IcmpTerm[]): Line[] {
  return bothFamilies.flatMap((family) => {
    const own = terms.flatMap((term) => (family === 4 ? term.v4 : term.v6) ?? []);
    const bare = [...new Set(own.filter(({ code }) => code === undefined).map(({ type }) => type))];
    const coded = own.filter(({ type, code }) => code !== undefined && !bare.includes(type));
    const lines: Statement[][] = [
      ...(bare.length === 0 ? [] : [[is('type', family, oneOf(bare.map((type) => typeName(type, family))))]]),
      ...coded.map(({ type, code }) => [is('type', family, typeName(type, family)), is('code', family, code!)]),
    ];
    return lines.map((statements) => ({ family, statements }));
  });
}

const is = (field: 'type' | 'code', family: Family, value: Expression): Statement =>
  match(payload(family === 4 ? 'icmp' : 'icmpv6', field), value);

/** As nft lists them. */
const names: Readonly<Record<Family, ReadonlyMap<number, string>>> = {
  4: new Map([
    [0, 'echo-reply'],
    [3, 'destination-unreachable'],
    [4, 'source-quench'],
    [5, 'redirect'],
    [8, 'echo-request'],
    [9, 'router-advertisement'],
    [10, 'router-solicitation'],
    [11, 'time-exceeded'],
    [12, 'parameter-problem'],
    [13, 'timestamp-request'],
    [14, 'timestamp-reply'],
    [17, 'address-mask-request'],
    [18, 'address-mask-reply'],
  ]),
  6: new Map([
    [1, 'destination-unreachable'],
    [2, 'packet-too-big'],
    [3, 'time-exceeded'],
    [4, 'parameter-problem'],
    [128, 'echo-request'],
    [129, 'echo-reply'],
    [130, 'mld-listener-query'],
    [131, 'mld-listener-report'],
    [132, 'mld-listener-done'],
    [133, 'nd-router-solicit'],
    [134, 'nd-router-advert'],
    [135, 'nd-neighbor-solicit'],
    [136, 'nd-neighbor-advert'],
    [137, 'nd-redirect'],
    [143, 'mld2-listener-report'],
  ]),
};

const typeName = (type: number, family: Family): Expression => names[family].get(type) ?? type;
