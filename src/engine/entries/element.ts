/** Pieces of a table as elements of its kernel sets, and back. */

import type { Addition, ElementChange, ElementKey, ElementState, SetIndex } from '../../kernel/kernel.js';
import type { AddressRange, Family } from '../../net/address.js';
import { addressBytes, addressFromBytes, formatAddress } from '../../net/address.js';
import { rangePrefix } from '../../net/prefix.js';
import type { Element, Expression } from '../../nft/model.js';
import type { Piece } from './flatten.js';

export type Tier = 'hosts' | 'prefixes';

export function elementKey(family: Family, tier: Tier, piece: Piece): ElementKey {
  const key = addressBytes({ family, value: piece.first });
  if (tier === 'hosts') return { key };
  return { key, keyEnd: piece.last === piece.first ? key : addressBytes({ family, value: piece.last }) };
}

export function deleteElement(set: SetIndex, family: Family, tier: Tier, piece: Piece): ElementChange {
  const { key, keyEnd } = elementKey(family, tier, piece);
  return keyEnd === undefined ? { op: 'delete', set, key } : { op: 'delete', set, key, keyEnd };
}

/** Undefined for a piece whose time has run out. */
export function addElement(set: SetIndex, family: Family, tier: Tier, piece: Piece, now: number): Addition | undefined {
  const leftMs = Math.ceil(piece.until - now);
  if (leftMs <= 0) return undefined;
  const { key, keyEnd } = elementKey(family, tier, piece);
  const element: Mutable<Addition> = { op: 'add', set, key };
  if (keyEnd !== undefined) element.keyEnd = keyEnd;
  if (leftMs !== Number.POSITIVE_INFINITY) element.timeoutMs = leftMs;
  if (piece.comment !== undefined) element.comment = piece.comment;
  if (piece.not) element.nomatch = true;
  return element;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** As it stands in a ruleset; undefined for a piece whose time has run out. */
export function pieceElement(family: Family, { first, last, until, comment }: Piece, now: number): Element | undefined {
  const leftMs = Math.ceil(until - now);
  if (leftMs <= 0) return undefined;
  return {
    value: rangeExpression({ family, first, last }),
    ...(leftMs !== Number.POSITIVE_INFINITY && { timeoutMs: leftMs }),
    ...(comment !== undefined && { comment }),
  };
}

/** A host, a prefix or a range as a literal. */
export function rangeExpression(range: AddressRange): Expression {
  const text = (value: bigint) => formatAddress({ family: range.family, value });
  if (range.first === range.last) return text(range.first);
  const prefix = rangePrefix(range);
  if (prefix !== undefined) return { prefix: { addr: text(prefix.value), len: prefix.length } };
  return { range: [text(range.first), text(range.last)] };
}

/** The addresses of an element of either tier. */
export function elementRange({ key, keyEnd }: ElementKey): AddressRange {
  const { family, value: first } = addressFromBytes(key);
  return { family, first, last: keyEnd === undefined ? first : addressFromBytes(keyEnd).value };
}

/** What an element that the kernel listed is worth as a piece. */
export function elementPiece(element: ElementState, now: number): Piece {
  const { first, last } = elementRange(element);
  const leftMs = element.expiresMs ?? element.timeoutMs;
  return {
    first,
    last,
    until: leftMs === undefined ? Number.POSITIVE_INFINITY : now + leftMs,
    ...(element.comment !== undefined && { comment: element.comment }),
    ...(element.nomatch && { not: true }),
  };
}
