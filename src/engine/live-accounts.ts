/** The accounts of the policy that is in force. */

import type { Manifest, PlanAccount } from '../compiler/plan.js';
import { asPosternError, PosternError } from '../errors.js';
import type { Kernel } from '../kernel/kernel.js';
import {
  type AccountPlaces,
  accountPlaces,
  noCount,
  noCounts,
  plus,
  type Raw,
  readPlaces,
  Sheet,
} from './account-sets.js';
import { AccountTotals } from './account-totals.js';
import type {
  AccountRate,
  AccountRates,
  AccountReading,
  AccountRow,
  AccountSeries,
  AccountSummary,
  Accounts,
  Count,
} from './accounts.js';
import { calmly } from './calmly.js';
import type { Clock } from './clock.js';
import type { Gate } from './gate.js';

export interface LiveAccountsOptions {
  readonly kernel: Pick<Kernel, 'dump' | 'object' | 'get' | 'change'>;
  readonly clock: Clock;
  readonly gate: Gate;
  /** Bound on addresses of one account in metrics. */
  readonly seriesPerAccount?: number;
}

const defaultSeries = 1_000;
/** Metrics may be this old: reading a large account takes the kernel a tenth of a second. */
const seriesAgeMs = 2_000;
/** An address that has counted nothing for this long gives its place up when the set is half full. */
const idleMs = 60_000;

interface LiveAccount {
  readonly plan: PlanAccount;
  readonly places: AccountPlaces;
  readonly totals: AccountTotals;
  /** Where the kernel can't zero a set: what was counted up to the last flush. */
  flushed: { readonly sheet: Sheet; readonly overflow: Count } | undefined;
  flushedAt: number;
}

export class LiveAccounts implements Accounts {
  #accounts = new Map<string, LiveAccount>();
  /** By account: reading and flushing come one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #series: { readonly at: number; readonly series: Promise<readonly AccountSeries[]> } | undefined;

  constructor(private readonly options: LiveAccountsOptions) {}

  /** From now on these accounts are in force; those that go on keep their totals. */
  switch(accounts: readonly PlanAccount[], manifest: Pick<Manifest, 'sets' | 'objects'>): void {
    const { clock, seriesPerAccount = defaultSeries } = this.options;
    const next = new Map<string, LiveAccount>();
    for (const plan of accounts) {
      const known = this.#accounts.get(plan.name);
      next.set(plan.name, {
        plan,
        places: accountPlaces(manifest, plan.name),
        totals: known?.totals ?? new AccountTotals(plan.name, seriesPerAccount, plan.size),
        flushed: known?.flushed,
        flushedAt: known?.flushedAt ?? clock.steady(),
      });
    }
    this.#accounts = next;
    this.#series = undefined;
  }

  list(): AccountSummary[] {
    return [...this.#accounts.values()].map(({ plan: { name, networks, size } }) => ({ name, networks, size }));
  }

  read(name: string): Promise<AccountReading> {
    return this.#alone(name, async (account) => this.#reading(account, await this.#current(account)));
  }

  flush(name: string): Promise<AccountReading> {
    return this.#alone(name, async (account) => {
      const raw = await this.#take(account);
      await account.totals.carry(raw.sheet, raw.overflow);
      await this.#dropIdle(account, raw);
      account.flushedAt = this.options.clock.steady();
      return this.#reading(account, raw);
    });
  }

  async *watch(name: string, intervalMs: number, signal?: AbortSignal): AsyncIterable<AccountRates> {
    const { clock } = this.options;
    let [before, beforeAt] = [await this.#totals(name), clock.steady()];
    while (!signal?.aborted) {
      await this.#wait(intervalMs, signal);
      if (signal?.aborted) return;
      const [now, nowAt] = [await this.#totals(name), clock.steady()];
      yield {
        account: name,
        at: clock.wall(),
        intervalMs: nowAt - beforeAt,
        rates: await rates(before, now, nowAt - beforeAt),
      };
      [before, beforeAt] = [now, nowAt];
    }
  }

  series(): Promise<readonly AccountSeries[]> {
    const at = this.options.clock.steady();
    if (this.#series === undefined || at - this.#series.at > seriesAgeMs) {
      const series = Promise.all([...this.#accounts.keys()].map((name) => this.#seriesOf(name))).then((all) =>
        all.flat(),
      );
      series.catch(() => {
        this.#series = undefined;
      });
      this.#series = { at, series };
    }
    return this.#series.series;
  }

  #seriesOf(name: string): Promise<readonly AccountSeries[]> {
    return this.#alone(name, async (account) => {
      const { sheet, overflow } = await this.#current(account);
      return account.totals.series(sheet, overflow);
    });
  }

  /** All that was counted since the start, by address. */
  #totals(name: string): Promise<Sheet> {
    return this.#alone(name, async (account) => account.totals.with((await this.#current(account)).sheet));
  }

  /** What was counted since the last flush. */
  async #current(account: LiveAccount): Promise<Pick<Raw, 'sheet' | 'overflow'>> {
    const raw = await readPlaces(this.options.kernel, account.places, false);
    return account.flushed === undefined ? raw : await minus(raw, account.flushed);
  }

  /** The same, and what is counted from now on belongs to the next reading. */
  async #take(account: LiveAccount): Promise<Raw> {
    const { kernel } = this.options;
    if (account.flushed === undefined) {
      try {
        return await readPlaces(kernel, account.places, true);
      } catch (error) {
        // Before Linux 6.5 sets can't be zeroed, and nothing was.
        if (asPosternError(error).code !== 'unsupported') throw error;
      }
    }
    const raw = await readPlaces(kernel, account.places, false);
    const before = account.flushed ?? { sheet: new Sheet(), overflow: noCount };
    account.flushed = raw;
    return { ...raw, ...(await minus(raw, before)), idle: [] };
  }

  async #reading({ plan }: LiveAccount, { sheet, overflow }: Pick<Raw, 'sheet' | 'overflow'>): Promise<AccountReading> {
    const rows: AccountRow[] = [];
    await calmly(sheet, ({ address, counts }) => rows.push({ address, ...counts }));
    return { account: plan.name, at: this.options.clock.wall(), rows, overflow };
  }

  /** Makes room where it may be needed. Asks again right before: what counts now isn't idle any more. */
  async #dropIdle({ places, flushedAt }: LiveAccount, { idle, fill }: Raw): Promise<void> {
    const { kernel, clock } = this.options;
    if (clock.steady() - flushedAt < idleMs) return;
    const crowded = new Set(
      places.sets.filter(({ set, size }) => (fill.get(set) ?? 0) * 2 > size).map(({ set }) => set),
    );
    for (const { set, key } of idle) {
      if (!crowded.has(set)) continue;
      const element = await kernel.get(set, { key });
      if (element?.packets === 0n) await kernel.change([{ op: 'delete', set, key }], { bulk: true });
    }
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.options;
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

  /** While a load runs, it isn't sure where an account counts: that comes first. */
  async #alone<T>(name: string, work: (account: LiveAccount) => Promise<T>): Promise<T> {
    if (!this.#accounts.has(name)) throw this.#unknown(name);
    const before = this.#turns.get(name) ?? Promise.resolve();
    const own = before.then(() =>
      this.options.gate.pass(() => {
        const account = this.#accounts.get(name);
        if (account === undefined) throw this.#unknown(name);
        return work(account);
      }),
    );
    const settled = own.catch(() => {});
    this.#turns.set(name, settled);
    try {
      return await own;
    } finally {
      if (this.#turns.get(name) === settled) this.#turns.delete(name);
    }
  }

  #unknown(name: string): PosternError {
    const names = [...this.#accounts.keys()];
    const known = names.length === 0 ? 'the policy has none' : `the policy has: ${names.join(', ')}`;
    return new PosternError('not-found', `there is no account ${name}; ${known}`);
  }
}

type Sums = Pick<Raw, 'sheet' | 'overflow'>;

async function minus(now: Sums, before: Sums): Promise<Sums> {
  const less = (a: Count, b: Count): Count => plus(a, { packets: -b.packets, bytes: -b.bytes });
  const sheet = new Sheet();
  await calmly(now.sheet, ({ address, counts }) => {
    const old = before.sheet.get(address) ?? noCounts;
    const source = less(counts.source, old.source);
    const destination = less(counts.destination, old.destination);
    if (source.packets > 0n || destination.packets > 0n) sheet.add(address, { source, destination });
  });
  return { sheet, overflow: less(now.overflow, before.overflow) };
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
