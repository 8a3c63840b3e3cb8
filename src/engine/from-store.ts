/** Entries as the store has them, and tables brought to them when records came into the store from elsewhere. */

import type { Prefix } from '../net/address.js';
import type { LiveEntry, Store } from '../store/store.js';
import type { Clock } from './clock.js';
import { families, type LiveTable } from './entries/live-table.js';
import { livePart, type Terms } from './entries/terms.js';
import { addLive, deleteLive, Tally } from './requests.js';
import { inChunks, type TableWriter } from './table-writer.js';
import type { ChangeCount, Source } from './tables.js';

/** Who changed a table that was brought to the store. */
export const fromStore: Source = { kind: 'import', id: 'store' };

/** What is left may differ by so much: it was worked out at another moment. */
const toleranceMs = 1_000;

/**
 * What the store says of an entry.
 * @param toSteady from the wall clock to the steady one, in ms
 */
export function storedTerms({ not, expiresAt, comment, origin, at }: LiveEntry, toSteady: number): Terms {
  const addedAt = Math.round(at / 1_000);
  if (expiresAt === undefined) {
    return { not, expires: Number.POSITIVE_INFINITY, comment, source: origin, addedAt, request: 0 };
  }
  const expires = expiresAt + toSteady;
  const timeoutMs = Math.max(0, Math.round(expiresAt - at / 1_000));
  return { not, expires, timeoutMs, comment, source: origin, addedAt, request: 0 };
}

interface Parts {
  readonly store: Pick<Store, 'entries' | 'entry'>;
  readonly writer: TableWriter;
  readonly clock: Clock;
}

/** The store knows already: it isn't told again. */
const nothingToTell = [] as const;

/** @param told is told of each table that changed */
export async function takeAllFromStore(
  tables: Iterable<LiveTable>,
  parts: Parts,
  told: (table: LiveTable, count: ChangeCount) => void,
): Promise<ChangeCount> {
  const total = new Tally();
  for (const table of [...tables]) {
    const count = await takeFromStore(table, parts);
    for (const outcome of ['added', 'changed', 'deleted'] as const) total.count[outcome] += count[outcome];
    if (count.added + count.changed + count.deleted > 0) told(table, count);
  }
  return total.count;
}

async function takeFromStore(table: LiveTable, { store, writer, clock }: Parts): Promise<ChangeCount> {
  const tally = new Tally();
  const wishes = [...wanted(table, store, clock), ...unwanted(table, store, clock)];
  const now = clock.steady();
  await writer.perform(
    table,
    fromStore,
    inChunks(wishes),
    (change, { prefix, terms }) =>
      tally.note(terms === undefined ? deleteLive(change, prefix, now) : addLive(change, prefix, terms, now)),
    nothingToTell,
  );
  return tally.count;
}

interface Wish {
  readonly prefix: Prefix;
  /** Undefined: to be deleted. */
  readonly terms: Terms | undefined;
}

function* wanted(table: LiveTable, store: Parts['store'], clock: Clock): Generator<Wish> {
  const toSteady = clock.steady() - clock.wall();
  for (const entry of store.entries(table.name)) {
    const terms = storedTerms(entry, toSteady);
    if (!isSame(livePart(table.get(entry.prefix)), terms)) yield { prefix: entry.prefix, terms };
  }
}

function* unwanted(table: LiveTable, store: Parts['store'], clock: Clock): Generator<Wish> {
  for (const family of families) {
    for (const { value, length, of } of table.entries[family].snapshot()) {
      const live = livePart(of);
      if (live === undefined || live.expires <= clock.steady()) continue;
      const prefix = { family, value, length };
      if (store.entry(table.name, prefix) === undefined) yield { prefix, terms: undefined };
    }
  }
}

function isSame(a: Terms | undefined, b: Terms): boolean {
  if (a === undefined || a.not !== b.not || a.comment !== b.comment) return false;
  return a.expires === b.expires || Math.abs(a.expires - b.expires) < toleranceMs;
}
