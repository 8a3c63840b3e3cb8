import { daemonOf, daemonOptions } from './client.js';
import { command } from './command.js';
import { aligned, counted, roughly } from './text.js';

interface Status {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly policy: { readonly file?: string; readonly appliedAt?: string; readonly confirmBy?: string };
  readonly tables: number;
  readonly accounts: number;
  readonly drift: { readonly found: number; readonly repaired: number; readonly failed: number };
  readonly services: readonly { readonly name: string; readonly state: string; readonly status: string }[];
  readonly store?: { readonly mode: string; readonly entries: number; readonly notices: readonly string[] };
}

export const status = command({
  summary: 'show how the daemon stands; status 1 when something of it failed',
  options: { json: { type: 'boolean', help: 'print as JSON' }, ...daemonOptions },
  async run(call) {
    const found = await daemonOf(call).ask<Status>('GET', '/v1/status');
    await call.io.out(call.values.json === true ? `${JSON.stringify(found)}\n` : statusText(found, Date.now()));
    const failed = found.services.some(({ state }) => state === 'failed') || found.store?.mode === 'memory';
    return failed ? 1 : 0;
  },
});

function statusText(found: Status, now: number): string {
  const { policy, drift, store } = found;
  const since = (instant: string) => `${roughly(now - Date.parse(instant))} ago`;
  return aligned([
    ['postern', `${found.version}, process ${found.pid}, started ${since(found.startedAt)}`],
    [
      'policy',
      policy.file === undefined
        ? 'none in force'
        : `${policy.file}, applied ${since(policy.appliedAt ?? found.startedAt)}`,
    ],
    ...(policy.confirmBy === undefined
      ? []
      : [['', `to be confirmed within ${roughly(Date.parse(policy.confirmBy) - now)}: postern confirm`]]),
    ['tables', `${found.tables}`],
    ['accounts', `${found.accounts}`],
    ['drift', `${counted(drift.found, 'change')} by others, ${drift.repaired} repaired, ${drift.failed} not`],
    ...(store === undefined
      ? [['store', 'none: entries are lost when the kernel forgets them']]
      : [['store', `${store.mode}, ${counted(store.entries, 'entry', 'entries')}`]]),
    ...(store?.notices ?? []).map((notice) => ['', notice]),
    ...found.services.map(({ name, state, status: what }) => [
      name,
      `${state === 'running' ? '' : `${state}: `}${what}`,
    ]),
  ]);
}
