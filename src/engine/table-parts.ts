/** The parts that keep tables: how entries are changed and read, when they end, and what settles a doubt. */

import type { EngineBase } from './base.js';
import { Doubts } from './doubts.js';
import type { LiveTable } from './entries/live-table.js';
import { Expiry } from './expiry.js';
import { LiveTables } from './live-tables.js';
import { PolicyTables } from './policy-tables.js';
import { reconcile } from './reconcile.js';
import { TableReader } from './table-reader.js';
import { TableWriter } from './table-writer.js';
import { nothingChanged } from './tables.js';

export interface TableParts {
  readonly writer: TableWriter;
  readonly reader: TableReader;
  readonly policyTables: PolicyTables;
  readonly live: LiveTables;
  readonly expiry: Expiry;
  readonly doubts: Doubts;
  /** Brings the kernel to what the table says. Answers the number of changes. */
  readonly reconcile: (table: LiveTable) => Promise<number>;
}

export function tableParts({
  kernel,
  store,
  committer,
  clock,
  gate,
  events,
  counters,
  trouble,
}: EngineBase): TableParts {
  const writer = new TableWriter({
    kernel,
    committer,
    durable: store !== undefined,
    clock,
    gate,
    doubt: (table) => doubts.note(table),
    full: (table) => counters.full(table.name),
    changed: (table) => expiry.consider(table),
  });
  const reader = new TableReader({ kernel, clock, writer });
  const settle = (table: LiveTable) =>
    reconcile(table, { kernel, committer, clock, gate, notice: () => reader.notice(table, 0) });
  const doubts = new Doubts({ clock, settle, trouble });
  const policyTables = new PolicyTables({ clock, writer, stored: (table) => store?.entries(table) ?? [] });
  const { tables } = policyTables;
  const expire = async (table: LiveTable) => {
    const deleted = await writer.expire(table);
    if (deleted === 0) return;
    counters.expired(table.name, deleted);
    events.emit('table', { table: table.name, count: { ...nothingChanged, deleted } });
  };
  const expiry = new Expiry({ clock, tables, expire, trouble });
  const live = new LiveTables({ tables, writer, reader, gate, clock, events });
  events.on('table', ({ table, source, count }) => counters.changed(table, source?.kind, count));
  return { writer, reader, policyTables, live, expiry, doubts, reconcile: settle };
}
