/** How fast an account counts: the difference of two readings. */

import { noCounts, type Sheet } from './account-sets.js';
import type { AccountRate, AccountRates, Count } from './accounts.js';
import { calmly } from './calmly.js';
import type { Clock } from './clock.js';

interface Watched {
  readonly account: string;
  /** All that was counted since the start, by address. */
  readonly totals: () => Promise<Sheet>;
  readonly clock: Clock;
}

/** Rates once every interval, until the signal ends it. */
export async function* watchRates(
  { account, totals, clock }: Watched,
  intervalMs: number,
  signal?: AbortSignal,
): AsyncIterable<AccountRates> {
  let [before, beforeAt] = [await totals(), clock.steady()];
  while (!signal?.aborted) {
    await wait(clock, intervalMs, signal);
    if (signal?.aborted) return;
    const [now, nowAt] = [await totals(), clock.steady()];
    const elapsedMs = nowAt - beforeAt;
    yield { account, at: clock.wall(), intervalMs: elapsedMs, rates: await rates(before, now, elapsedMs) };
    [before, beforeAt] = [now, nowAt];
  }
}

async function wait(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.at(clock.steady() + ms, end);
    signal?.addEventListener('abort', end);
  });
}

/** Busiest first, without those at rest. */
async function rates(before: Sheet, now: Sheet, elapsedMs: number): Promise<AccountRate[]> {
  const perSecond = (a: Count, b: Count) => ({
    packets: (Number(b.packets - a.packets) * 1_000) / elapsedMs,
    bytes: (Number(b.bytes - a.bytes) * 1_000) / elapsedMs,
  });
  const all: AccountRate[] = [];
  await calmly(now, ({ address, counts }) => {
    const old = before.get(address) ?? noCounts;
    const source = perSecond(old.source, counts.source);
    const destination = perSecond(old.destination, counts.destination);
    if (source.packets + destination.packets > 0) all.push({ address, source, destination });
  });
  const bytes = ({ source, destination }: AccountRate) => source.bytes + destination.bytes;
  return all.sort((a, b) => bytes(b) - bytes(a));
}
