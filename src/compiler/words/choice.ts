/** Lists with `not` members as what nft compares with. */

import { match, oneOf, range } from '../../nft/build.js';
import type { Expression, Statement } from '../../nft/model.js';
import type { Choice, NumberRange } from '../../policy/ast.js';

/** Ranges of numbers that are in, or (`negated`) those that are out. */
export interface FlatChoice {
  readonly negated: boolean;
  readonly ranges: readonly NumberRange[];
}

/** One list instead of two: the plain members without the `not` ones, or the `not` ones alone. */
export function flatten(choice: Choice<NumberRange>): FlatChoice {
  const not = merge(choice.not);
  if (choice.any.length === 0) return { negated: true, ranges: not };
  return { negated: false, ranges: merge(choice.any).flatMap((whole) => cut(whole, not)) };
}

/** Numbers instead of ranges. */
export const flattenNumbers = ({ any, not }: Choice<number>): FlatChoice =>
  flatten({ any: any.map(single), not: not.map(single) });

const single = (value: number): NumberRange => ({ first: value, last: value });

/** `LEFT { a, b-c }`, `LEFT != …`; nothing when every value is meant. */
export function matchNumbers(
  left: Expression,
  { negated, ranges }: FlatChoice,
  name: (value: number) => Expression = (value) => value,
): Statement[] {
  if (negated && ranges.length === 0) return [];
  return [match(left, oneOf(ranges.map(({ first, last }) => range(name(first), name(last)))), negated ? '!=' : '==')];
}

export const isEmpty = ({ negated, ranges }: FlatChoice): boolean => !negated && ranges.length === 0;

/** Neighbours stay apart: nft looks single values up in a hash, and ranges in a tree. */
function merge(ranges: readonly NumberRange[]): NumberRange[] {
  const merged: NumberRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first || a.last - b.last)) {
    const previous = merged.at(-1);
    if (previous === undefined || range.first > previous.last) merged.push(range);
    else if (range.last > previous.last) merged[merged.length - 1] = { first: previous.first, last: range.last };
  }
  return merged;
}

/** What of a range is in none of the sorted holes. */
function cut(whole: NumberRange, holes: readonly NumberRange[]): NumberRange[] {
  const left: NumberRange[] = [];
  let first = whole.first;
  for (const hole of holes) {
    if (hole.last < first || hole.first > whole.last) continue;
    if (hole.first > first) left.push({ first, last: hole.first - 1 });
    first = hole.last + 1;
  }
  return first <= whole.last ? [...left, { first, last: whole.last }] : left;
}
