/** What the engine tells, as log lines. */

import type { Engine, EngineEvents } from '../../engine/engine.js';
import type { ChangeCount } from '../../engine/tables.js';
import { LineLimit } from '../../services/line-limit.js';
import type { Log } from '../../services/service.js';

/** Changes of a table by one kind of source: lines at once, and between lines when there are many. */
const tableBurst = 10;
const tableIntervalMs = 1000;

/** Ends when the engine does. */
export function logEvents({ events }: Engine, log: Log, now: () => number): void {
  const limits = new Map<string, LineLimit>();

  events.on('table', ({ table, source, count }) => {
    const changes = countText(count);
    if (changes === '') return;
    const who = source === undefined ? 'expired' : `by ${source.kind} ${source.id}`;
    const key = `${table} ${source?.kind ?? ''}`;
    const limit = limits.get(key) ?? new LineLimit(tableBurst, tableIntervalMs);
    limits.set(key, limit);
    const heldBack = limit.pass(now());
    if (heldBack === undefined) return;
    const others = heldBack === 0 ? '' : ` (and ${heldBack} such changes before)`;
    log.info(`table ${table}: ${changes} ${who}${others}`, { table, source: source?.kind, id: source?.id, ...count });
  });

  events.on('policy', (event) => log.info(policyText(event)));

  events.on('drift', ({ what, detail, repairMs }) => {
    const text = `drift ${what}: ${detail}`;
    if (what === 'failed') log.error(text);
    else log.warn(repairMs === undefined ? text : `${text} (after ${Math.round(repairMs)} ms)`, { repairMs });
  });

  events.on('trouble', ({ error }) => log.error(error.message));
}

function countText(count: ChangeCount): string {
  const { added, changed, deleted } = count;
  return Object.entries({ added, changed, deleted })
    .filter(([, number]) => number > 0)
    .map(([what, number]) => `${number} ${what}`)
    .join(', ');
}

function policyText({ what, diff }: EngineEvents['policy'][0]): string {
  if (what === 'confirmed') return 'policy confirmed';
  const changes = diff.empty ? 'nothing to change' : `${diff.changes.length} changes`;
  return `policy ${what}: ${changes}`;
}
