/** Puts the engine together over its edges. */

import { EventEmitter } from 'node:events';
import type { Plan } from '../compiler/plan.js';
import { asPosternError } from '../errors.js';
import type { Kernel } from '../kernel/kernel.js';
import { type Audit, type Committer, storeAndKernel } from '../store/committer.js';
import type { Draft, Store } from '../store/store.js';
import type { FlowMark } from '../wire/conntrack-flows.js';
import { Adoption } from './adoption.js';
import { type Clock, systemClock } from './clock.js';
import { Countries, type CountrySource } from './countries.js';
import { Doubts } from './doubts.js';
import type { Engine, EngineEvents, EngineMetrics, UnknownEntries } from './engine.js';
import { EngineCounters } from './engine-counters.js';
import type { LiveTable } from './entries/live-table.js';
import { Expiry } from './expiry.js';
import { fromStore, takeAllFromStore } from './from-store.js';
import { Gate } from './gate.js';
import { InterfaceSets, type OpenLinks } from './interface-sets.js';
import { LiveAccounts } from './live-accounts.js';
import { LiveConditions } from './live-conditions.js';
import { LiveKnocks } from './live-knocks.js';
import { LivePolicy, type LivePolicyOptions } from './live-policy.js';
import { LiveQuotas } from './live-quotas.js';
import { LiveScans } from './live-scans.js';
import { LiveTables } from './live-tables.js';
import { Loader } from './loader.js';
import { Periodic } from './periodic.js';
import type { CompilePolicy, PolicyText } from './policy-control.js';
import { PolicyTables } from './policy-tables.js';
import { reconcile } from './reconcile.js';
import { Repairs } from './repairs.js';
import { bestEffort, memoryState, stateFile } from './state-file.js';
import { TableReader } from './table-reader.js';
import { TableWriter } from './table-writer.js';
import type { ChangeCount } from './tables.js';

export interface EngineOptions {
  readonly kernel: Kernel;
  readonly compile: CompilePolicy;
  /** The policy file as it is now. @throws PosternError `system`. */
  readonly readPolicy: () => Promise<PolicyText>;
  /** Folder for what a restart has to know; absent: a restart knows nothing. */
  readonly stateFolder?: string;
  /** Keeps live entries on disk; absent: they are taken from the kernel after a restart. */
  readonly store?: Store;
  /** Writes down every change of a table; with a store only. */
  readonly audit?: Audit;
  readonly clock?: Clock;
  /** Refuses a policy that would cut who must not be cut; see `LivePolicyOptions`. */
  readonly prove?: LivePolicyOptions['prove'];
  /** Follows the host's devices, for `lan:network` and `lan:address`; absent: their sets stay empty. */
  readonly openLinks?: OpenLinks;
  /** Where the ranges of countries come from; absent: their sets stay empty. */
  readonly countries?: CountrySource;
  /** False: what others change is left to the next apply. */
  readonly repairs?: boolean;
  /** Bound on addresses of one account in metrics. */
  readonly seriesPerAccount?: number;
}

/** Nothing is done before `start`. */
export function createEngine(options: EngineOptions): Engine {
  return new KernelEngine(options);
}

class KernelEngine implements Engine {
  readonly events = new EventEmitter<EngineEvents>();
  readonly unknown: UnknownEntries[] = [];
  readonly tables: LiveTables;
  readonly accounts: LiveAccounts;
  readonly knocks: LiveKnocks;
  readonly conditions: LiveConditions;
  readonly scans: LiveScans;
  readonly quotas: LiveQuotas;
  readonly policy: LivePolicy;
  readonly #clock: Clock;
  readonly #committer: Committer;
  readonly #gate = new Gate();
  readonly #counters = new EngineCounters();
  readonly #state;
  readonly #writer: TableWriter;
  readonly #reader: TableReader;
  readonly #policyTables: PolicyTables;
  readonly #interfaces: InterfaceSets;
  readonly #countries: Countries;
  readonly #expiry: Expiry;
  readonly #repairs: Repairs | undefined;
  /** What rules add is known soon, and so survives what happens to the kernel's sets. */
  readonly #noticing: Periodic;
  readonly #clockWatch: Periodic;
  readonly #doubts: Doubts;

  readonly #adoption: Adoption;
  readonly #trouble = (error: unknown): void => {
    this.events.emit('trouble', { error: asPosternError(error) });
  };

  constructor(private readonly options: EngineOptions) {
    const { kernel, store, stateFolder } = options;
    const trouble = this.#trouble;
    const clock = options.clock ?? systemClock;
    const gate = this.#gate;
    const { events } = this;
    this.#clock = clock;
    this.#committer =
      store === undefined ? kernelCommitter(kernel) : storeAndKernel({ store, kernel, ...pick(options, 'audit') });
    this.#state = stateFolder === undefined ? memoryState() : bestEffort(stateFile(stateFolder), this.#trouble);
    this.#writer = new TableWriter({
      kernel,
      committer: this.#committer,
      durable: store !== undefined,
      clock,
      gate,
      doubt: (table) => this.#doubts.note(table),
      full: (table) => this.#counters.full(table.name),
      changed: (table) => this.#expiry.consider(table),
    });
    const writer = this.#writer;
    this.#doubts = new Doubts({
      clock,
      settle: (table) => this.#reconcile(table),
      trouble,
    });
    this.#reader = new TableReader({ kernel, clock, writer });
    this.#policyTables = new PolicyTables({ clock, writer, stored: (table) => store?.entries(table) ?? [] });
    const { tables } = this.#policyTables;
    this.#expiry = new Expiry({
      clock,
      tables,
      expire: (table) => this.#expire(table),
      trouble,
    });
    this.tables = new LiveTables({ tables, writer, reader: this.#reader, gate, clock, events });
    this.accounts = new LiveAccounts({
      kernel,
      committer: this.#committer,
      clock,
      gate,
      store,
      trouble,
      ...pick(options, 'seriesPerAccount'),
    });
    this.knocks = new LiveKnocks({ kernel, committer: this.#committer, clock, gate, events, store });
    this.conditions = new LiveConditions({ kernel, committer: this.#committer, clock, gate, events, store });
    this.scans = new LiveScans({ committer: this.#committer, gate, events });
    this.quotas = new LiveQuotas({
      kernel,
      committer: this.#committer,
      clock,
      gate,
      events,
      store,
      reload: () => this.policy.reload(),
      trouble,
    });
    this.#adoption = new Adoption({
      kernel,
      store,
      clock,
      writer,
      tables: this.#policyTables,
      quotas: this.quotas,
      found: (entries) => {
        this.unknown.push(entries);
        events.emit('unknown', entries);
      },
    });
    this.#interfaces = new InterfaceSets({
      kernel,
      committer: this.#committer,
      gate,
      openLinks: options.openLinks,
      trouble,
    });
    this.#countries = new Countries({
      kernel,
      gate,
      clock,
      source: options.countries,
      trouble,
    });
    const loader = new Loader({
      kernel,
      gate,
      tables: this.#policyTables,
      prepared: (plan, presence) => this.quotas.prepared(plan, presence),
      contents: ({ manifest }, presence) => {
        this.accounts.before(manifest, presence);
        return new Map([
          ...this.#interfaces.contents(manifest, presence),
          ...this.conditions.contents(manifest, presence),
          ...this.quotas.contents(manifest, presence),
        ]);
      },
      bulk: (plan, presence) => this.#countries.prepare(plan, presence),
      reconcile: (table) => this.#reconcile(table),
      switched: (plan) => this.#switched(plan),
    });
    this.policy = new LivePolicy({
      kernel,
      loader,
      compile: options.compile,
      readPolicy: options.readPolicy,
      state: this.#state,
      clock,
      events,
      settled: () => this.#settled(),
      unsure: (reason) => this.#repairs?.doubt(reason),
      ...(options.prove !== undefined && { prove: options.prove }),
    });
    const notice = async () => {
      for (const table of [...tables.values()]) await gate.pass(() => this.#reader.notice(table, noticeMs));
    };
    this.#noticing = new Periodic(clock, noticeMs, notice, this.#trouble);
    this.#clockWatch = new Periodic(clock, clockWatchMs, () => this.#watchClock(), this.#trouble);
    if (options.repairs !== false) {
      this.#repairs = new Repairs({
        kernel,
        clock,
        gate,
        events,
        counters: this.#counters,
        tables,
        policy: this.policy,
        interfaces: this.#interfaces,
        countries: this.#countries,
        knocks: this.knocks,
        reconcile: (table) => this.#reconcile(table),
        trouble,
      });
    }
    events.on('table', ({ table, source, count }) => this.#counters.changed(table, source?.kind, count));
  }

  async start(): Promise<void> {
    const { compile, readPolicy } = this.options;
    const kept = await this.#state.read().catch((error: unknown) => {
      this.#trouble(error);
      return undefined;
    });
    const source = kept?.trialOver ?? (await readPolicy());
    const compiled = await compile(source, kept?.manifest);
    await this.#interfaces.start();
    const adopted = await this.#adoption.run(kept, compiled.plan);
    this.#repairs?.start();
    await this.policy.start(kept, compiled);
    // Of the others the load has filled the sets.
    for (const table of this.#policyTables.tables.values()) if (adopted.has(table)) await this.#reconcile(table);
    for (const table of this.#policyTables.tables.values()) this.#expiry.consider(table);
    this.accounts.start();
    this.quotas.start();
    await this.#countries.update();
    this.#countries.start();
    this.#noticing.start();
    this.#clockWatch.start();
    this.#repairs?.watchIpsets();
  }

  async stop(): Promise<void> {
    await this.quotas.stop();
    await this.accounts.stop();
    await this.#noticing.stop();
    await this.#clockWatch.stop();
    await this.#repairs?.stop();
    await this.#interfaces.stop();
    await this.#countries.stop();
    await this.policy.stop();
    await this.#expiry.stop();
    this.knocks.stop();
    await this.#doubts.stop();
    await this.#gate.close(async () => {});
  }

  markConnection(connection: FlowMark): Promise<void> {
    return this.options.kernel.markConnection(connection);
  }

  async metrics(): Promise<EngineMetrics> {
    await this.tables.list();
    const overflows = await this.#overflows();
    return this.#counters.metrics(this.#policyTables.tables.values(), {
      policy: this.policy.metrics,
      overflows,
      missingDevices: this.#interfaces.missing(),
    });
  }

  /** While a load runs, the indexes aren't sure: it lets this wait. */
  #overflows(): Promise<EngineMetrics['overflows']> {
    return this.#gate.pass(async () => {
      const overflows = this.policy.manifest.objects.flatMap(({ role }, index) =>
        role.kind === 'overflow' && role.of.kind === 'table'
          ? [{ index, table: role.of.table, family: role.of.family }]
          : [],
      );
      const read = overflows.map(async ({ index, table, family }) => {
        const { packets = 0n } = await this.options.kernel.object(index);
        return { table, family, packets };
      });
      return Promise.all(read);
    });
  }

  async takeFromStore(): Promise<ChangeCount> {
    const { store } = this.options;
    if (store === undefined) return nothingChanged;
    const parts = { store, writer: this.#writer, clock: this.#clock };
    const total = await takeAllFromStore(this.#policyTables.tables.values(), parts, ({ name }, count) =>
      this.events.emit('table', { table: name, source: fromStore, count }),
    );
    await this.knocks.restore();
    await this.conditions.restore();
    return total;
  }

  /** Stepping the clock back may bring back entries of which it had seemed that they had expired. */
  async #watchClock(): Promise<void> {
    const stepMs = this.options.store?.watchClock() ?? 0;
    if (stepMs === 0) return;
    this.events.emit('clock', { stepMs });
    await this.takeFromStore();
  }

  #switched(plan: Plan): void {
    this.accounts.switch(plan.accounts, plan.manifest);
    this.#interfaces.switch(plan.manifest);
    this.#countries.switch(plan);
    this.knocks.switch(plan);
    this.conditions.switch(plan.manifest);
    this.scans.switch(plan);
    this.quotas.switch(plan.manifest);
    void this.knocks.restore().catch(this.#trouble);
    void this.#interfaces.update();
    for (const table of this.#policyTables.tables.values()) this.#expiry.consider(table);
  }

  /** What left the policy is forgotten, on disk too. */
  async #settled(): Promise<void> {
    const origin = { kind: 'policy', id: this.policy.current?.source.file ?? '' } as const;
    const drafts = this.#policyTables.forget().map((table): Draft => ({ kind: 'flush', table: table.name, origin }));
    drafts.push(...this.accounts.forget(), ...this.conditions.forget(), ...this.quotas.forget());
    if (drafts.length > 0) await this.#committer.commit(drafts, []);
    await this.knocks.forget(origin);
  }

  async #expire(table: LiveTable): Promise<void> {
    const deleted = await this.#writer.expire(table);
    if (deleted === 0) return;
    this.#counters.expired(table.name, deleted);
    this.events.emit('table', { table: table.name, count: { ...nothingChanged, deleted } });
  }

  #reconcile(table: LiveTable): Promise<number> {
    return reconcile(table, {
      kernel: this.options.kernel,
      committer: this.#committer,
      clock: this.#clock,
      gate: this.#gate,
      notice: () => this.#reader.notice(table, 0),
    });
  }
}

/** Hosts that rules have added are known at the latest after this time. */
const noticeMs = 10_000;
const clockWatchMs = 1_000;

const nothingChanged = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };

/** Without a store, what the kernel has taken is done. */
function kernelCommitter(kernel: Pick<Kernel, 'change'>): Committer {
  const commit: Committer['commit'] = async (_, elements, options) => {
    if (elements.length > 0) await kernel.change(elements, options);
  };
  return { commit, request: () => ({ commit, done: async () => {} }) };
}

function pick<T, K extends keyof T>(from: T, key: K): Partial<Pick<T, K>> {
  return from[key] === undefined ? {} : ({ [key]: from[key] } as unknown as Pick<T, K>);
}
