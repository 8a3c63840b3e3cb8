/**
 * The entries of one table and family, and what they are in the kernel's two sets.
 *
 * Hosts tier: every host entry without `not`, one to one. Nothing is longer than a host, so nothing contradicts it.
 * Prefixes tier: everything else, flattened. A host with `not` is a hole there. Hosts and prefixes don't look at each
 * other: an address is in the table when either set has it.
 */

import { addressBits, type Family, type Prefix } from '../../net/address.js';
import { Calendar } from './calendar.js';
import { Delta } from './delta.js';
import { flatten, type Piece } from './flatten.js';
import { PackedTerms } from './packed-terms.js';
import type { Terms } from './terms.js';
import { PrefixTrie, type TrieEntry } from './trie.js';

/** Changes to the two sets of a table and family. */
export class FamilyDelta {
  readonly hosts = new Delta();
  readonly prefixes: Delta;

  constructor(nested = false) {
    this.prefixes = new Delta(nested);
  }
}

export class FamilyEntries {
  readonly #bits: number;
  readonly #hosts: PrefixTrie<Terms>;
  readonly #prefixes: PrefixTrie<Terms>;
  readonly #hostCalendar = new Calendar();
  readonly #prefixCalendar = new Calendar();
  #pieces = 0;
  /** Hosts among the prefixes, where they nest. */
  #nestedHosts = 0;

  /** @param nested the kernel's set takes entries as they are, hosts and exceptions too: there is one tier, and no pieces. */
  constructor(
    readonly family: Family,
    readonly nested = false,
  ) {
    this.#bits = addressBits(family);
    this.#hosts = new PrefixTrie(family, new PackedTerms());
    this.#prefixes = new PrefixTrie(family, new PackedTerms());
  }

  /** Elements of the hosts set. */
  get hosts(): number {
    return this.nested ? this.#nestedHosts : this.#hosts.size;
  }

  /** Entries that are prefixes or have `not`. */
  get prefixes(): number {
    return this.#prefixes.size - this.#nestedHosts;
  }

  /** Elements of the prefixes set. */
  get pieces(): number {
    return this.#pieces;
  }

  get(value: bigint, length: number): Terms | undefined {
    return (length === this.#bits ? this.#hosts.get(value, length) : undefined) ?? this.#prefixes.get(value, length);
  }

  /**
   * Sets the entry of a prefix, or removes it. Answers what was there.
   * @param delta notes what that means for the kernel; absent: nobody needs to know
   */
  put(value: bigint, length: number, terms: Terms | undefined, delta?: FamilyDelta): Terms | undefined {
    if (this.nested) return this.#putAlone(value, length, terms, delta?.prefixes);
    if (length !== this.#bits) return this.#putPrefix(value, length, terms, delta?.prefixes);
    const isException = terms?.not === true;
    const host = this.#putHost(value, isException ? undefined : terms, delta?.hosts);
    const exception = this.#putPrefix(value, length, isException ? terms : undefined, delta?.prefixes);
    return host ?? exception;
  }

  /** The entry that decides on an address at a time: the longest that hasn't expired. */
  decides(value: bigint, now: number): TrieEntry<Terms> | undefined {
    const host = this.#hosts.get(value, this.#bits);
    if (host !== undefined && host.expires > now) return { value, length: this.#bits, of: host };
    return this.#prefixes.covering(value, this.#bits).findLast((entry) => entry.of.expires > now);
  }

  /** The prefix entry on which a piece rests, whether it has expired or not. */
  prefixOf({ first, last }: Pick<Piece, 'first' | 'last'>): TrieEntry<Terms> | undefined {
    const covering = this.#prefixes.covering(first, this.#bits);
    return this.nested ? covering.find((entry) => this.#lastOf(entry) === last) : covering.at(-1);
  }

  /** The pieces on which an entry decides. */
  piecesOf(value: bigint, length: number): Piece[] {
    const host = length === this.#bits ? this.#hosts.get(value, length) : undefined;
    if (host !== undefined) return [hostPiece(value, host)];
    const covering = this.#prefixes.covering(value, length);
    const own = covering.at(-1);
    if (own?.length !== length) return [];
    if (this.nested) return [this.#entryPiece(own)];
    const outer = covering.slice(0, -1).map((entry) => entry.of);
    const last = value | ((1n << BigInt(this.#bits - length)) - 1n);
    const pieces = flatten(value, last, outer, this.#prefixes.within(value, length), this.#bits);
    return pieces.filter((piece) => this.prefixOf(piece)?.length === length);
  }

  /** When something expires next, on the steady clock. */
  nextExpiry(): number {
    return Math.min(this.#hostCalendar.next(), this.#prefixCalendar.next());
  }

  /** Removes at most `limit` entries that have expired; answers them. The kernel ends hosts by itself. */
  expire(now: number, limit: number, delta: FamilyDelta): Prefix[] {
    const { family } = this;
    const hosts = this.#hostCalendar.take(now, limit).map((node) => this.#hosts.at(node));
    for (const { value, length } of hosts) this.#hosts.delete(value, length);
    const prefixes = this.#prefixCalendar.take(now, limit - hosts.length).map((node) => this.#prefixes.at(node));
    for (const { value, length } of prefixes) this.put(value, length, undefined, delta);
    return [...hosts, ...prefixes].map(({ value, length }) => ({ family, value, length }));
  }

  /** All entries in address order, the wider first, as they are at the time of the call. */
  snapshot(): Iterable<TrieEntry<Terms>> {
    const [hosts, prefixes] = [this.#hosts.copy(), this.#prefixes.copy()];
    return { [Symbol.iterator]: () => inOrder(hosts, prefixes) };
  }

  /** What the hosts set holds. */
  hostPieces(): Iterable<Piece> {
    const hosts = this.#hosts.copy();
    return {
      *[Symbol.iterator]() {
        for (const { value, of } of hosts) yield hostPiece(value, of);
      },
    };
  }

  /** What the prefixes set holds. */
  prefixPieces(): Piece[] {
    if (this.nested) return Array.from(this.#prefixes, (entry) => this.#entryPiece(entry));
    return flatten(0n, (1n << BigInt(this.#bits)) - 1n, [], this.#prefixes, this.#bits);
  }

  /** Of an entry on which no other has a say: it is one piece, or, as an exception of flattened prefixes, none. */
  #putAlone(value: bigint, length: number, terms: Terms | undefined, delta?: Delta): Terms | undefined {
    const prefixes = this.#prefixes;
    const node = terms === undefined ? prefixes.find(value, length) : prefixes.place(value, length);
    if (node === undefined) return undefined;
    const old = prefixes.of(node);
    const hosts = length === this.#bits ? 1 : 0;
    if (old !== undefined) this.#prefixCalendar.remove(node);
    if (old !== undefined && this.#isPiece(old)) {
      delta?.remove(this.#entryPiece({ value, length, of: old }));
      this.#nestedHosts -= hosts;
      this.#pieces--;
    }
    if (terms === undefined) {
      prefixes.delete(value, length);
      return old;
    }
    prefixes.put(node, terms);
    this.#prefixCalendar.add(node, terms.expires);
    if (this.#isPiece(terms)) {
      delta?.insert(this.#entryPiece({ value, length, of: terms }));
      this.#nestedHosts += hosts;
      this.#pieces++;
    }
    return old;
  }

  #isPiece({ not }: Terms): boolean {
    return this.nested || !not;
  }

  /** An entry as a piece of its own. */
  #entryPiece(entry: TrieEntry<Terms>): Piece {
    const { not, expires, comment } = entry.of;
    const [first, last, until] = [entry.value, this.#lastOf(entry), expires];
    // Half a million come in a row, mostly without either.
    if (!not && comment === undefined) return { first, last, until };
    return { first, last, until, ...(comment !== undefined && { comment }), ...(not && { not }) };
  }

  #lastOf({ value, length }: TrieEntry<Terms>): bigint {
    return value | ((1n << BigInt(this.#bits - length)) - 1n);
  }

  #putHost(value: bigint, terms: Terms | undefined, delta?: Delta): Terms | undefined {
    const hosts = this.#hosts;
    const node = terms === undefined ? hosts.find(value, this.#bits) : hosts.place(value, this.#bits);
    const old = node === undefined ? undefined : hosts.of(node);
    if (node !== undefined && old !== undefined) {
      this.#hostCalendar.remove(node);
      delta?.remove(hostPiece(value, old));
    }
    if (node !== undefined && terms !== undefined) {
      hosts.put(node, terms);
      this.#hostCalendar.add(node, terms.expires);
      delta?.insert(hostPiece(value, terms));
    } else if (old !== undefined) {
      hosts.delete(value, this.#bits);
    }
    return old;
  }

  /** Only the span that the entry decides on changes: its own addresses, and the gap around them. */
  #putPrefix(value: bigint, length: number, terms: Terms | undefined, delta?: Delta): Terms | undefined {
    // Most prefixes of a list don't nest: of such a one nothing else changes.
    if (this.#prefixes.isAlone(value, length)) return this.#putAlone(value, length, terms, delta);
    const covering = this.#prefixes.covering(value, length);
    const own = covering.at(-1)?.length === length ? covering.pop()!.of : undefined;
    if (own === undefined && terms === undefined) return undefined;
    const outer = covering.map((entry) => entry.of);
    const inner = [...this.#prefixes.within(value, length)].filter((entry) => entry.length !== length);
    const { first, last } = this.#prefixes.gap(value, length);
    const pieces = (of: Terms | undefined) =>
      flatten(first, last, outer, of === undefined ? inner : [{ value, length, of }, ...inner], this.#bits);
    const [before, after] = [pieces(own), pieces(terms)];
    delta?.replace(before, after);
    this.#pieces += after.length - before.length;

    if (own !== undefined) this.#prefixCalendar.remove(this.#prefixes.find(value, length)!);
    if (terms === undefined) this.#prefixes.delete(value, length);
    else this.#prefixCalendar.add(this.#prefixes.set(value, length, terms), terms.expires);
    return own;
  }
}

/** Merges two tries of which each is in order. */
function* inOrder(hostTrie: PrefixTrie<Terms>, prefixTrie: PrefixTrie<Terms>): IterableIterator<TrieEntry<Terms>> {
  const [hosts, prefixes] = [hostTrie[Symbol.iterator](), prefixTrie[Symbol.iterator]()];
  let [host, prefix] = [hosts.next(), prefixes.next()];
  while (!host.done || !prefix.done) {
    if (!prefix.done && (host.done || prefix.value.value <= host.value.value)) {
      yield prefix.value;
      prefix = prefixes.next();
    } else if (!host.done) {
      yield host.value;
      host = hosts.next();
    }
  }
}

function hostPiece(value: bigint, { expires, comment }: Terms): Piece {
  if (comment === undefined) return { first: value, last: value, until: expires };
  return { first: value, last: value, until: expires, comment };
}
