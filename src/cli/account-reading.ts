/** Readings of accounts as the daemon answers them. */

import type { Daemon } from './client.js';

export interface Traffic {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface Reading {
  readonly account: string;
  readonly at: string;
  readonly rows: readonly { readonly address: string; readonly source: Traffic; readonly destination: Traffic }[];
  readonly overflow: Traffic;
}

/** The JSON of a reading. With `flush` the counters are zeroed; every packet is in exactly one reading. */
export function askReading(daemon: Daemon, account: string, flush: boolean): Promise<string> {
  const path = `/v1/accounts/${encodeURIComponent(account)}`;
  return flush ? daemon.askText('POST', `${path}/flush`) : daemon.askText('GET', path);
}

/** Keeps every digit: JSON.parse alone would round counters above 2^53. */
export function parseReading(json: string): Reading {
  const quoted = json.replace(/"(packets|bytes)":(\d+)/g, '"$1":"$2"');
  return JSON.parse(quoted, (key, value: unknown) =>
    (key === 'packets' || key === 'bytes') && typeof value === 'string' ? BigInt(value) : value,
  ) as Reading;
}
