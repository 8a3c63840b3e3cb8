import { EventEmitter } from 'node:events';
import type { Engine } from '../../src/engine/engine.js';
import type { Entry, EntryView, Source } from '../../src/engine/tables.js';
import { PosternError } from '../../src/errors.js';
import { formatPrefix, hostPrefix } from '../../src/net/prefix.js';
import type { ApiParts } from '../../src/api/api.js';

export function stub(): ApiParts {
  const map = new Map<string, EntryView>();
  const zero = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };
  const check = (t: string) => { if (t !== 'bad') throw new PosternError('not-found', `no table '${t}'`); };
  const add = async (table: string, entries: readonly Entry[], source: Source) => {
    check(table);
    for (const e of entries) map.set(formatPrefix(e.prefix), { ...e, source, addedAt: Date.now(), ...(e.timeoutMs ? { expiresAt: Date.now() + e.timeoutMs } : {}), packets: 12345678901234567890n, bytes: 1n });
    const count = { ...zero, added: entries.length };
    engine.events.emit('table', { table, source, count });
    return count;
  };
  const engine = {
    events: new EventEmitter(),
    tables: {
      list: async () => [{ name: 'bad', size: 100, hosts: map.size, prefixes: 0, backend: 'nft', timeoutMs: 1000 }],
      add,
      delete: async (t: string, p: any[]) => { check(t); let n = 0; for (const x of p) if (map.delete(formatPrefix(x))) n++; return { ...zero, deleted: n, unchanged: p.length - n }; },
      replace: async (t: string, e: any[], s: any) => { map.clear(); return add(t, e, s); },
      flush: async (t: string) => { check(t); const n = map.size; map.clear(); return { ...zero, deleted: n }; },
      show: async (t: string) => { check(t); return [...map.values()]; },
      test: async (t: string, a: any) => { check(t); const entry = map.get(formatPrefix(hostPrefix(a))); return { inTable: !!entry, ...(entry ? { entry } : {}) }; },
    },
    accounts: {
      list: () => [{ name: 'sales', networks: [{ family: 4, first: 0n, last: 0xffffffffn }], size: 10 }],
      read: async (account: string) => ({ account, at: Date.now(), rows: [{ address: { family: 4, value: 0xc0000201n }, source: { packets: 5n, bytes: 2n ** 60n + 1n }, destination: { packets: 0n, bytes: 0n } }], overflow: { packets: 0n, bytes: 0n } }),
      flush: async (account: string) => engine.accounts.read(account),
      series: async () => [{ account: 'sales', ip: '192.0.2.1', direction: 'source', packets: 5n, bytes: 1500n }],
    },
    policy: { current: undefined, confirmBy: undefined, plan: async () => ({ empty: true, changes: [], warnings: [] }) },
    metrics: async () => ({ fills: [{ table: 'bad', tier: 'hosts', family: 4, elements: map.size, size: 100 }], changes: [], expired: [], full: [], drift: { found: 0, repaired: 0, failed: 0, repairMs: 0 }, policy: { applied: 1, failed: 0, rolledBack: 0 } }),
  } as unknown as Engine;
  const log = { info() {}, warn() {}, error: (m: string) => console.error(m) };
  return { engine, log, version: '0', now: Date.now, startedAt: 0, reload: async () => { throw new PosternError('policy', 'x'); }, services: () => [] };
}
