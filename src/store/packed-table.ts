/** The registers of one table in memory, packed: about 60 bytes an entry, where objects in a Map would take 300. */

import type { Prefix } from '../net/address.js';
import { type Interned, originKey } from './interned.js';
import { isFlushed, isLater } from './join.js';
import { inUse, isDelete, isException, isIpv6, none, type PackedTerms, Records } from './records.js';
import type { EntryRegister, EntryRun, FlushRegister, Origin, Stamp } from './register.js';
import { hashWords } from './word-hash.js';

/** What the tables of a store share. */
export interface Texts {
  readonly comments: Interned<string>;
  readonly origins: Interned<Origin>;
  readonly nodes: Interned<string>;
}

type Terms = Pick<EntryRegister, 'comment' | 'origin' | 'node' | 'expiresAt'>;

const nothing: readonly EntryRegister[] = [];

/** What decides whether a record stays, without an object for it. */
export type RecordTest = (at: Stamp, expiresAt: number, deleted: boolean) => boolean;

export class PackedTable {
  /** Every entry with a stamp up to it is gone. */
  flush: FlushRegister | undefined;
  readonly #records = new Records();
  /** First record of each chain; a power of two of them, and twice as many as records: to look at another's costs a cache miss. */
  #heads = new Uint32Array(64).fill(none);
  #size = 0;
  #deleted = 0;
  /** The address being looked for, and the hash of its prefix. */
  readonly #key = new Uint32Array(4);
  #hash = 0;

  constructor(
    readonly name: string,
    private readonly texts: Texts,
  ) {}

  /** Registers, those that say `delete` included. */
  get size(): number {
    return this.#size;
  }

  /** Registers that say `delete`. */
  get deleted(): number {
    return this.#deleted;
  }

  /** One past the highest place of a record: the bound of `removeWhere`. */
  get extent(): number {
    return this.#records.extent;
  }

  get(prefix: Prefix): EntryRegister | undefined {
    const index = this.#find(prefix);
    return index === none ? undefined : this.#register(index);
  }

  /** Puts entries whose stamps are later than all in the table; answers what was there. */
  exchange(run: EntryRun): readonly EntryRegister[] {
    const terms = this.#termsOf(run, run.not ? isException : 0, run.prefixes.length);
    let before: EntryRegister[] | undefined;
    let { at } = run;
    for (const prefix of run.prefixes) {
      let index = this.#find(prefix);
      if (index === none) {
        index = this.#insert(prefix.length);
      } else {
        before ??= [];
        before.push(this.#register(index));
        this.#releaseTexts(index);
      }
      this.#fill(index, prefix, at++, terms);
    }
    return before ?? nothing;
  }

  /** Joins an entry; true when it is the last word now. */
  join(entry: EntryRegister): boolean {
    if (isFlushed(entry, this.flush)) return false;
    let index = this.#find(entry.prefix);
    if (index === none) {
      index = this.#insert(entry.prefix.length);
    } else {
      const at = this.#records.stamp(index);
      if (entry.at < at || (entry.at === at && !isLater(entry, this.#register(index)))) return false;
      this.#releaseTexts(index);
    }
    const flags = (entry.op === 'delete' ? isDelete : 0) | (entry.not ? isException : 0);
    this.#fill(index, entry.prefix, entry.at, this.#termsOf(entry, flags, 1));
    return true;
  }

  /** Joins a flush; true when it is the last one now. */
  joinFlush(flush: FlushRegister): boolean {
    if (this.flush !== undefined && !isLater(flush, this.flush)) return false;
    this.flush = flush;
    this.removeWhere((at) => at <= flush.at);
    return true;
  }

  /** Forgets a prefix without a trace. */
  forget(prefix: Prefix): void {
    const index = this.#find(prefix);
    if (index !== none) this.#remove(index);
  }

  /** Forgets what the test names among the places from `from` to `to`; returns how many. */
  removeWhere(test: RecordTest, from = 0, to = this.extent): number {
    const before = this.#size;
    for (let index = from; index < to; index++) {
      if (this.#passes(index, test)) this.#remove(index);
    }
    return before - this.#size;
  }

  countWhere(test: RecordTest): number {
    let count = 0;
    for (let index = 0; index < this.extent; index++) if (this.#passes(index, test)) count++;
    return count;
  }

  /** Moves the expiry of everything that has one by what `shift` answers, in milliseconds. */
  moveExpiries(shift: (at: Stamp) => number): void {
    for (let index = 0; index < this.extent; index++) {
      const expiry = this.#records.expiry(index);
      if ((this.#records.flags(index) & inUse) === 0 || expiry === 0) continue;
      this.#records.setExpiry(index, Math.max(1, expiry + shift(this.#records.stamp(index))));
    }
  }

  /** A register that stays while this runs is seen once; one that comes or goes meanwhile, at most once. */
  *registers(): Generator<EntryRegister> {
    for (let index = 0; index < this.extent; index++) {
      if (this.#records.flags(index) & inUse) yield this.#register(index);
    }
  }

  #passes(index: number, test: RecordTest): boolean {
    const flags = this.#records.flags(index);
    return (
      (flags & inUse) !== 0 &&
      test(
        this.#records.stamp(index),
        this.#records.expiry(index) || Number.POSITIVE_INFINITY,
        (flags & isDelete) !== 0,
      )
    );
  }

  #register(index: number): EntryRegister {
    const flags = this.#records.flags(index);
    const expiresAt = this.#records.expiry(index);
    this.#records.readKey(index, this.#key);
    return {
      kind: 'entry',
      table: this.name,
      prefix: prefixFrom(this.#key, (flags & isIpv6) !== 0, this.#records.prefixLength(index)),
      op: flags & isDelete ? 'delete' : 'add',
      not: (flags & isException) !== 0,
      at: this.#records.stamp(index),
      node: this.texts.nodes.at(this.#records.node(index))!,
      origin: this.texts.origins.at(this.#records.origin(index))!,
      expiresAt: expiresAt === 0 ? undefined : expiresAt,
      comment: this.texts.comments.at(this.#records.comment(index)),
    };
  }

  /** Leaves the prefix in `#key` and `#hash`. */
  #find(prefix: Prefix): number {
    writeWords(prefix, this.#key);
    this.#hash = hashWords(this.#key, 0, prefix.length);
    const family = prefix.family === 6 ? isIpv6 : 0;
    for (
      let index = this.#heads[this.#hash & (this.#heads.length - 1)]!;
      index !== none;
      index = this.#records.next(index)
    ) {
      if (
        this.#records.hasKey(index, this.#key) &&
        this.#records.prefixLength(index) === prefix.length &&
        (this.#records.flags(index) & isIpv6) === family
      ) {
        return index;
      }
    }
    return none;
  }

  /** A record for what was looked for and not found; to be filled. */
  #insert(length: number): number {
    if (this.#size * 2 >= this.#heads.length) this.#grow();
    const index = this.#records.allocate();
    this.#records.writeKey(index, this.#key);
    this.#records.setPrefixLength(index, length);
    this.#link(index, this.#hash);
    this.#size++;
    return index;
  }

  /** Puts a record at the head of its chain. */
  #link(index: number, hash: number): void {
    const chain = hash & (this.#heads.length - 1);
    this.#records.setNext(index, this.#heads[chain]!);
    this.#heads[chain] = index;
  }

  /** What so many records share: their texts count as used by each of them. */
  #termsOf({ comment, origin, node, expiresAt }: Terms, flags: number, times: number): PackedTerms {
    const { comments, origins, nodes } = this.texts;
    return {
      comment: comment === undefined ? 0 : comments.use(comment, comment, times),
      origin: origins.use(originKey(origin), origin, times),
      node: nodes.use(node, node, times),
      expiry: expiresAt ?? 0,
      flags: inUse | flags,
    };
  }

  #fill(index: number, { family }: Prefix, at: Stamp, terms: PackedTerms): void {
    this.#records.fill(index, at, terms, family === 6 ? isIpv6 : 0);
    if (terms.flags & isDelete) this.#deleted++;
  }

  #releaseTexts(index: number): void {
    this.texts.comments.release(this.#records.comment(index));
    this.texts.origins.release(this.#records.origin(index));
    this.texts.nodes.release(this.#records.node(index));
    if (this.#records.flags(index) & isDelete) this.#deleted--;
  }

  #remove(index: number): void {
    const chain = this.#records.hash(index) & (this.#heads.length - 1);
    const next = this.#records.next(index);
    if (this.#heads[chain] === index) {
      this.#heads[chain] = next;
    } else {
      let before = this.#heads[chain]!;
      while (this.#records.next(before) !== index) before = this.#records.next(before);
      this.#records.setNext(before, next);
    }
    this.#releaseTexts(index);
    this.#records.release(index);
    this.#size--;
  }

  #grow(): void {
    this.#heads = new Uint32Array(this.#heads.length * 2).fill(none);
    for (let index = 0; index < this.extent; index++) {
      if (this.#records.flags(index) & inUse) this.#link(index, this.#records.hash(index));
    }
  }
}

/** A bigint cut into words this way, or put together, takes a seventh of the time that shifts and Number() need. */
const low64 = new BigUint64Array(1);
const low64Words = new Uint32Array(low64.buffer);

function writeWords(prefix: Prefix, into: Uint32Array): void {
  low64[0] = prefix.value;
  if (prefix.family === 4) {
    into[0] = low64Words[0]!;
    into[1] = 0;
    into[2] = 0;
    into[3] = 0;
    return;
  }
  into[3] = low64Words[0]!;
  into[2] = low64Words[1]!;
  low64[0] = prefix.value >> 64n;
  into[1] = low64Words[0]!;
  into[0] = low64Words[1]!;
}

function prefixFrom(words: Uint32Array, ipv6: boolean, length: number): Prefix {
  if (!ipv6) return { family: 4, value: BigInt(words[0]!), length };
  return { family: 6, value: (joined(words[0]!, words[1]!) << 64n) | joined(words[2]!, words[3]!), length };
}

function joined(high: number, low: number): bigint {
  low64Words[1] = high;
  low64Words[0] = low;
  return low64[0]!;
}
