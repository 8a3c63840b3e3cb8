/** What the engine tells, as log lines. */

import type { Engine, EngineEvents } from '../../engine/engine.js';
import type { ChangeCount, Source } from '../../engine/tables.js';
import { LineLimit } from '../../services/line-limit.js';
import type { Log } from '../../services/service.js';

/** Changes of a table by one kind of source: lines at once, and between lines when there are many. */
const tableBurst = 10;
const tableIntervalMs = 1000;

/** Ends when the engine does. */
export function logEvents({ events }: Engine, log: Log, now: () => number): void {
  const limits = new Map<string, LineLimit>();

  events.on('table', ({ table, source, count }) => {
    const changes = source === undefined ? `${count.deleted} expired` : changesText(source, count);
    if (changes === undefined) return;
    const key = `${table} ${source?.kind ?? ''}`;
    const limit = limits.get(key) ?? new LineLimit(tableBurst, tableIntervalMs);
    limits.set(key, limit);
    const heldBack = limit.pass(now());
    if (heldBack === undefined) return;
    const others = heldBack === 0 ? '' : ` (and ${heldBack} such changes before)`;
    log.info(`table ${table}: ${changes}${others}`, { table, source: source?.kind, id: source?.id, ...count });
  });

  events.on('knock', ({ what, knock, address, by, client, ports, until }) => {
    const facts = { knock, address, by, client, until };
    if (what === 'expired') {
      log.info(`knock ${knock}: the time of ${address} is over`, facts);
      return;
    }
    const who = client === undefined ? by : `${by} of ${client}`;
    const where = ports === undefined ? '' : ` at ${ports.join(', ')}`;
    const when = until === undefined || what === 'revoked' ? '' : `, until ${new Date(until).toISOString()}`;
    log.info(`knock ${knock}: ${what} ${address}${where} by ${who}${when}`, facts);
  });

  events.on('scan', ({ detector, address }) => {
    const limit = limits.get(`scan ${detector}`) ?? new LineLimit(tableBurst, tableIntervalMs);
    limits.set(`scan ${detector}`, limit);
    const heldBack = limit.pass(now());
    if (heldBack === undefined) return;
    const others = heldBack === 0 ? '' : ` (and ${heldBack} others before)`;
    log.info(`scan: ${address} probes ports${others}`, { detector, address });
  });

  events.on('condition', ({ condition, on, source }) => {
    const state = on ? 'on' : 'off';
    log.info(`condition ${condition}: ${state}, by ${source.kind} ${source.id}`, {
      condition,
      on,
      source: source.kind,
    });
  });

  events.on('quota', ({ quota, value, unit, source }) => {
    log.info(`quota ${quota}: ${value} ${unit}, by ${source.kind} ${source.id}`, { quota, value, source: source.kind });
  });

  events.on('policy', (event) => log.info(policyText(event)));

  events.on('drift', ({ what, detail, repairMs }) => {
    const text = `drift ${what}: ${detail}`;
    if (what === 'failed') log.error(text);
    else log.warn(repairMs === undefined ? text : `${text} (after ${Math.round(repairMs)} ms)`, { repairMs });
  });

  events.on('unknown', ({ table, count, examples, what }) => {
    const more = count > examples.length ? ', …' : '';
    const list = `${examples.join(', ')}${more}`;
    log.warn(`table ${table}: the kernel held ${count} entries that nobody knew of; they were ${what}: ${list}`);
  });

  events.on('clock', ({ stepMs }) => {
    log.warn(`the clock was stepped by ${Math.round(stepMs / 1000)} s; what is left of entries stays as it was`);
  });

  events.on('trouble', ({ error }) => log.error(error.message));
}

/** Undefined when nothing was changed. */
function changesText({ kind, id }: Source, { added, changed, deleted }: ChangeCount): string | undefined {
  const made = Object.entries({ added, changed, deleted }).filter(([, number]) => number > 0);
  if (made.length === 0) return undefined;
  return `${made.map(([what, number]) => `${number} ${what}`).join(', ')} by ${kind} ${id}`;
}

function policyText({ what, diff }: EngineEvents['policy'][0]): string {
  if (what === 'confirmed') return 'policy confirmed';
  const changes = diff.empty ? 'nothing to change' : `${diff.changes.length} changes`;
  return `policy ${what}: ${changes}`;
}
