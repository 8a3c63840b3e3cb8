/** The accounts of the policy that is in force. */

import type { Manifest, PlanAccount } from '../compiler/plan.js';
import { asPosternError, type PosternError } from '../errors.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Presence } from '../nft/presence.js';
import type { Committer } from '../store/committer.js';
import type { Draft } from '../store/store.js';
import { watchRates } from './account-rates.js';
import {
  type AccountPlaces,
  accountPlaces,
  countingAccounts,
  noCount,
  type Raw,
  readPlaces,
  Sheet,
} from './account-sets.js';
import { AccountTotals } from './account-totals.js';
import type {
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
import {
  fromKept,
  growth,
  isKeptAccount,
  type KeptAccount,
  noSums,
  packetsOf,
  type Sums,
  together,
  toKept,
} from './kept-account.js';
import { KeptValues, type KeptValuesParts } from './kept-values.js';
import { missing } from './missing.js';
import { Periodic } from './periodic.js';
import { Turns } from './turns.js';

export interface LiveAccountsOptions {
  readonly kernel: Pick<Kernel, 'dump' | 'object' | 'get' | 'change'>;
  readonly clock: Clock;
  readonly gate: Gate;
  /** Bound on addresses of one account in metrics. */
  readonly seriesPerAccount?: number;
  readonly committer: Committer;
  readonly store: KeptValuesParts['store'];
  readonly trouble: (error: unknown) => void;
}

/** Counts that are kept may be this old after a crash of the machine. */
const saveMs = 60_000;

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
  /** Counted since the last flush, by kernel sets that are gone. */
  carried: Sums;
  /** Packets when it was kept last. */
  saved: string;
}

export class LiveAccounts implements Accounts {
  #accounts = new Map<string, LiveAccount>();
  /** By account: reading and flushing come one after the other. */
  readonly #turns = new Turns<string>();
  #series: { readonly at: number; readonly series: Promise<readonly AccountSeries[]> } | undefined;

  readonly #kept: KeptValues<KeptAccount>;
  readonly #saving: Periodic;
  /** Names of accounts that the kernel counted for before the load that runs. */
  #counting: ReadonlySet<string> = new Set();

  constructor(private readonly options: LiveAccountsOptions) {
    this.#kept = new KeptValues('account', isKeptAccount, options);
    this.#saving = new Periodic(options.clock, saveMs, () => this.#saveAll(), options.trouble);
  }

  start(): void {
    this.#saving.start();
  }

  async stop(): Promise<void> {
    await this.#saving.stop();
    await this.#saveAll().catch(this.options.trouble);
  }

  /** What is in the kernel before a load. */
  before(manifest: Pick<Manifest, 'sets' | 'tables' | 'objects'>, presence: Presence): void {
    this.#counting = countingAccounts(manifest, presence);
  }

  /** For the store: what is kept of accounts that left the policy, or are no longer to be kept. */
  forget(): Draft[] {
    return this.#kept.forget((name) => this.#accounts.get(name)?.plan.keep !== true);
  }

  /** From now on these accounts are in force; those that go on keep their totals. */
  switch(accounts: readonly PlanAccount[], manifest: Pick<Manifest, 'sets' | 'objects'>): void {
    const { clock, trouble, seriesPerAccount = defaultSeries } = this.options;
    const next = new Map<string, LiveAccount>();
    for (const plan of accounts) {
      const known = this.#accounts.get(plan.name);
      next.set(plan.name, {
        plan,
        places: accountPlaces(manifest, plan.name),
        totals: known?.totals ?? new AccountTotals(plan.name, seriesPerAccount, plan.size),
        flushed: known?.flushed,
        flushedAt: known?.flushedAt ?? clock.steady(),
        carried: known?.carried ?? noSums(),
        saved: known?.saved ?? '',
      });
    }
    const known = this.#accounts;
    this.#accounts = next;
    this.#series = undefined;
    // Before anybody reads them: whoever asks comes later in the account's turn.
    for (const { name } of accounts.filter(({ keep }) => keep)) {
      const [isNew, isLost] = [!known.has(name), !this.#counting.has(name)];
      if (isNew || isLost) this.#alone(name, (account) => this.#restore(account, isNew, isLost)).catch(trouble);
    }
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
      if (account.plan.keep) await this.#save(account, noSums());
      await this.#dropIdle(account, raw);
      account.flushedAt = this.options.clock.steady();
      return this.#reading(account, raw);
    });
  }

  watch(name: string, intervalMs: number, signal?: AbortSignal): AsyncIterable<AccountRates> {
    return watchRates(
      { account: name, totals: () => this.#totals(name), clock: this.options.clock },
      intervalMs,
      signal,
    );
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
  async #current(account: LiveAccount): Promise<Sums> {
    return together(await this.#counted(account), account.carried);
  }

  /** The part of it that the kernel knows. */
  async #counted(account: LiveAccount): Promise<Sums> {
    const raw = await readPlaces(this.options.kernel, account.places, false);
    return account.flushed === undefined ? raw : growth(raw, account.flushed);
  }

  /** The same, and what is counted from now on belongs to the next reading. */
  async #take(account: LiveAccount): Promise<Raw> {
    const raw = await this.#takeRaw(account);
    const all = await together(raw, account.carried);
    account.carried = noSums();
    return { ...raw, ...all };
  }

  async #takeRaw(account: LiveAccount): Promise<Raw> {
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
    return { ...raw, ...(await growth(raw, before)), idle: [] };
  }

  /**
   * @param isNew the process knows nothing of it yet
   * @param isLost the kernel has forgotten what it had counted
   */
  async #restore(account: LiveAccount, isNew: boolean, isLost: boolean): Promise<void> {
    const kept = this.#kept.get(account.plan.name)?.value;
    if (kept === undefined) return;
    if (isNew) {
      const { sheet, overflow } = await fromKept(kept.flushed);
      await account.totals.carry(sheet, overflow);
    }
    const carried = await fromKept(kept.carried);
    account.carried = isLost ? await together(carried, await fromKept(kept.counted)) : carried;
    if (isLost) await this.#save(account, noSums());
  }

  async #saveAll(): Promise<void> {
    const kept = [...this.#accounts.values()].filter(({ plan }) => plan.keep);
    for (const { plan } of kept) {
      await this.#alone(plan.name, async (account) => this.#save(account, await this.#counted(account)));
    }
  }

  async #save({ plan, totals, carried, saved }: LiveAccount, counted: Sums): Promise<void> {
    const parts = [await totals.flushed(), carried, counted] as const;
    const packets = (await Promise.all(parts.map(packetsOf))).join();
    if (packets === saved) return;
    const [flushed, before, now] = await Promise.all(parts.map(toKept));
    await this.#kept.set(plan.name, { flushed: flushed!, carried: before!, counted: now! });
    const account = this.#accounts.get(plan.name);
    if (account !== undefined) account.saved = packets;
  }

  async #reading({ plan }: LiveAccount, { sheet, overflow }: Sums): Promise<AccountReading> {
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

  /** While a load runs, it isn't sure where an account counts: that comes first. */
  async #alone<T>(name: string, work: (account: LiveAccount) => Promise<T>): Promise<T> {
    if (!this.#accounts.has(name)) throw this.#unknown(name);
    return this.#turns.take(name, () =>
      this.options.gate.pass(() => {
        const account = this.#accounts.get(name);
        if (account === undefined) throw this.#unknown(name);
        return work(account);
      }),
    );
  }

  #unknown(name: string): PosternError {
    return missing('account', name, this.#accounts.keys());
  }
}
