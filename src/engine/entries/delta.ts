/** What a change to entries means for one kernel set: the pieces before and after, and nothing of what came in between. */

import type { Piece } from './flatten.js';

interface Slot {
  /** In the kernel before the change. */
  readonly before?: Piece;
  /** In the kernel after the change. */
  readonly after?: Piece;
}

export class Delta {
  /** By first address, at any time the pieces of a set are disjoint; where they nest by their last one, too. */
  readonly #slots = new Map<number | bigint | string, Slot>();

  /** @param nested pieces may lie within others */
  constructor(private readonly nested = false) {}

  remove(piece: Piece): void {
    const place = this.nested ? `${piece.first}-${piece.last}` : key(piece.first);
    const slot = this.#slots.get(place);
    const before = slot === undefined ? piece : slot.before;
    this.#slots.set(place, before === undefined ? {} : { before });
  }

  insert(piece: Piece): void {
    const place = this.nested ? `${piece.first}-${piece.last}` : key(piece.first);
    const before = this.#slots.get(place)?.before;
    this.#slots.set(place, before === undefined ? { after: piece } : { before, after: piece });
  }

  /** Removes all of one list and inserts all of another. */
  replace(before: readonly Piece[], after: readonly Piece[]): void {
    for (const piece of before) this.remove(piece);
    for (const piece of after) this.insert(piece);
  }

  /** Pieces to delete. A piece whose comment or nature changes is deleted and added. */
  *deletes(): IterableIterator<Piece> {
    for (const { before, after } of this.#slots.values()) {
      if (before !== undefined && (after === undefined || !samePlace(before, after) || !sameNature(before, after))) {
        yield before;
      }
    }
  }

  /** Pieces to add, or to add again with a new time. */
  *adds(): IterableIterator<Piece> {
    for (const { before, after } of this.#slots.values()) {
      if (after !== undefined && (before === undefined || !same(before, after))) yield after;
    }
  }
}

/**
 * As distinct as the address itself, and quick to find: what fits is a number, and of a bigint V8 hashes the low 64 bits
 * alone, which IPv6 prefixes don't have.
 */
function key(address: bigint): number | bigint {
  return address <= 0xffff_ffffn ? Number(address) : address ^ (address >> 64n);
}

function samePlace(a: Piece, b: Piece): boolean {
  return a.first === b.first && a.last === b.last;
}

function same(a: Piece, b: Piece): boolean {
  return samePlace(a, b) && a.until === b.until && sameNature(a, b);
}

/** What the kernel never changes of an element. */
function sameNature(a: Piece, b: Piece): boolean {
  return a.comment === b.comment && a.not === b.not;
}
