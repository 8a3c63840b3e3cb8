/** A change to a table: made in memory at once, then told to the kernel and the store, and taken back when they refuse. */

import type { ElementChange } from '../../kernel/kernel.js';
import type { Family, Prefix } from '../../net/address.js';
import type { Draft } from '../../store/store.js';
import type { Source } from '../tables.js';
import { addElement, deleteElement } from './element.js';
import { FamilyDelta } from './family-entries.js';
import { families, type LiveTable, setsFor, tiers } from './live-table.js';
import type { Put } from './put-list.js';
import { livePart, sameTerms, type Terms } from './terms.js';

/** From the steady clock to milliseconds since the epoch; undefined for never. */
export type ToWall = (steadyMs: number) => number | undefined;

export class TableChange {
  readonly #puts: Put[] = [];
  readonly #deltas: Readonly<Record<Family, FamilyDelta>>;

  constructor(
    readonly table: LiveTable,
    readonly source: Source,
  ) {
    const { nested } = table.entries[4];
    this.#deltas = { 4: new FamilyDelta(nested), 6: new FamilyDelta(nested) };
  }

  put(prefix: Prefix, terms: Terms | undefined): void {
    const { family, value, length } = prefix;
    const before = this.table.entries[family].put(value, length, terms, this.#deltas[family]);
    if (terms === undefined) this.table.deletions++;
    this.#puts.push({ prefix, before, after: terms });
  }

  /** What was put, in its order. */
  get puts(): readonly Put[] {
    return this.#puts;
  }

  /** Drops at most `limit` entries of each family that have expired; answers how many. */
  expire(now: number, limit: number): number {
    let expired = 0;
    for (const family of families)
      expired += this.table.entries[family].expire(now, limit, this.#deltas[family]).length;
    this.table.deletions += expired;
    return expired;
  }

  /** For one transaction: deletions first, so that nothing overlaps and a full set has room. */
  elements(now: number): ElementChange[] {
    const deletes: ElementChange[] = [];
    const adds: ElementChange[] = [];
    for (const family of families) {
      for (const tier of tiers) {
        const sets = this.table.sets[family][tier];
        const delta = this.#deltas[family][tier];
        for (const piece of delta.deletes()) {
          for (const set of setsFor(sets, family, piece)) deletes.push(deleteElement(set, family, tier, piece));
        }
        for (const piece of delta.adds()) {
          for (const set of setsFor(sets, family, piece)) {
            const element = addElement(set, family, tier, piece, now);
            if (element !== undefined) adds.push(element);
          }
        }
      }
    }
    return deletes.concat(adds);
  }

  /** For the store, which keeps live entries only. */
  drafts(toWall: ToWall): Draft[] {
    const drafts: Draft[] = [];
    // Of the last draft: mostly a request says the same of all its entries.
    let terms: Terms | undefined;
    let prefixes: Prefix[] | undefined;
    for (const { prefix, before, after } of this.#puts) {
      const live = livePart(after);
      if (sameTerms(live, livePart(before))) continue;
      if (prefixes === undefined || !saysTheSame(live, terms)) {
        prefixes = [];
        terms = live;
        drafts.push(this.#draft(prefixes, live, toWall));
      }
      prefixes.push(prefix);
    }
    return drafts;
  }

  #draft(prefixes: readonly Prefix[], live: Terms | undefined, toWall: ToWall): Draft {
    const table = this.table.name;
    if (live === undefined) return { kind: 'entry', op: 'delete', table, prefixes, origin: this.source };
    const { not, comment, source: origin, expires } = live;
    return { kind: 'entry', op: 'add', table, prefixes, not, expiresAt: toWall(expires), comment, origin };
  }

  /** Takes the puts back, except where a later change came on top. `elements` then tells what is left to do. */
  undo(): void {
    const puts = this.#puts.splice(0).reverse();
    for (const { prefix, before, after } of puts) {
      if (sameTerms(this.table.get(prefix), after)) this.put(prefix, before);
    }
    this.#puts.length = 0;
  }

  /** As `undo`, as a further change: for what the kernel and the store may have. */
  reverse(): TableChange {
    const reverse = new TableChange(this.table, this.source);
    for (const put of this.#puts.toReversed()) reverse.takeBack(put);
    return reverse;
  }

  /** Takes a put of another change back, unless a later change came on top. */
  takeBack({ prefix, before, after }: Put): void {
    if (sameTerms(this.table.get(prefix), after)) this.put(prefix, before);
  }
}

/** Would their drafts say the same? */
function saysTheSame(a: Terms | undefined, b: Terms | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const { kind, id } = a.source;
  return (
    a.not === b.not &&
    a.expires === b.expires &&
    a.comment === b.comment &&
    kind === b.source.kind &&
    id === b.source.id
  );
}
