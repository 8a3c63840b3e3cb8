/** Puts the engine together over its edges. */

import type { Plan } from '../compiler/plan.js';
import type { Draft } from '../store/store.js';
import type { FlowMark } from '../wire/conntrack-flows.js';
import { Adoption } from './adoption.js';
import { type EngineBase, engineBase } from './base.js';
import { Countries } from './countries.js';
import type { Engine, EngineMetrics, UnknownEntries } from './engine.js';
import type { EngineOptions } from './engine-options.js';
import type { LiveTable } from './entries/live-table.js';
import { fromStore, takeAllFromStore } from './from-store.js';
import { InterfaceSets } from './interface-sets.js';
import { LivePolicy } from './live-policy.js';
import { Loader } from './loader.js';
import { readOverflows } from './overflows.js';
import { Periodic } from './periodic.js';
import { Repairs } from './repairs.js';
import { bestEffort, memoryState, stateFile } from './state-file.js';
import { type TableParts, tableParts } from './table-parts.js';
import { type ChangeCount, nothingChanged } from './tables.js';
import { forgetValues, switchValues, type ValueParts, valueParts } from './value-parts.js';

/** Nothing is done before `start`. */
export function createEngine(options: EngineOptions): Engine {
  return new KernelEngine(options);
}

class KernelEngine implements Engine {
  readonly unknown: UnknownEntries[] = [];
  readonly policy: LivePolicy;
  readonly #base: EngineBase;
  readonly #tables: TableParts;
  readonly #values: ValueParts;
  readonly #state;
  readonly #interfaces: InterfaceSets;
  readonly #countries: Countries;
  readonly #repairs: Repairs | undefined;
  /** What rules add is known soon, and so survives what happens to the kernel's sets. */
  readonly #noticing: Periodic;
  readonly #clockWatch: Periodic;
  readonly #adoption: Adoption;

  constructor(private readonly options: EngineOptions) {
    const base = engineBase(options);
    const { clock, trouble } = base;
    this.#base = base;
    this.#state =
      options.stateFolder === undefined ? memoryState() : bestEffort(stateFile(options.stateFolder), trouble);
    this.#tables = tableParts(base);
    this.#values = valueParts(base, options, () => this.policy.reload());
    this.#interfaces = new InterfaceSets({ ...base, openLinks: options.openLinks });
    this.#countries = new Countries({ ...base, source: options.countries });
    this.#adoption = this.#createAdoption();
    this.policy = this.#createPolicy();
    this.#noticing = new Periodic(clock, noticeMs, () => this.#notice(), trouble);
    this.#clockWatch = new Periodic(clock, clockWatchMs, () => this.#watchClock(), trouble);
    if (options.repairs !== false) this.#repairs = this.#createRepairs();
  }

  get events() {
    return this.#base.events;
  }

  get tables() {
    return this.#tables.live;
  }

  get accounts() {
    return this.#values.accounts;
  }

  get knocks() {
    return this.#values.knocks;
  }

  get conditions() {
    return this.#values.conditions;
  }

  get scans() {
    return this.#values.scans;
  }

  get quotas() {
    return this.#values.quotas;
  }

  #createAdoption(): Adoption {
    const { writer, policyTables: tables } = this.#tables;
    const found = (entries: UnknownEntries) => {
      this.unknown.push(entries);
      this.events.emit('unknown', entries);
    };
    return new Adoption({ ...this.#base, writer, tables, quotas: this.quotas, found });
  }

  #createPolicy(): LivePolicy {
    const { policyTables: tables, reconcile } = this.#tables;
    const { accounts, conditions, quotas } = this.#values;
    const loader = new Loader({
      ...this.#base,
      tables,
      prepared: async (plan, presence) => conditions.prepared(await quotas.prepared(plan, presence)),
      contents: ({ manifest }, presence) => {
        accounts.before(manifest, presence);
        return new Map([...this.#interfaces.contents(manifest, presence), ...quotas.contents(manifest, presence)]);
      },
      bulk: (plan, presence) => this.#countries.prepare(plan, presence),
      reconcile,
      switched: (plan) => this.#switched(plan),
    });
    const { compile, readPolicy, prove } = this.options;
    return new LivePolicy({
      ...this.#base,
      loader,
      compile,
      readPolicy,
      state: this.#state,
      settled: () => this.#settled(),
      unsure: (reason) => this.#repairs?.doubt(reason),
      ...(prove !== undefined && { prove }),
    });
  }

  #createRepairs(): Repairs {
    const { policyTables, reconcile } = this.#tables;
    return new Repairs({
      ...this.#base,
      tables: policyTables.tables,
      policy: this.policy,
      interfaces: this.#interfaces,
      countries: this.#countries,
      knocks: this.knocks,
      reconcile,
    });
  }

  async start(): Promise<void> {
    const { compile, readPolicy } = this.options;
    const kept = await this.#state.read().catch((error: unknown) => {
      this.#base.trouble(error);
      return undefined;
    });
    const source = kept?.trialOver ?? (await readPolicy());
    const compiled = await compile(source, kept?.manifest);
    await this.#interfaces.start();
    const adopted = await this.#adoption.run(kept, compiled.plan);
    this.#repairs?.start();
    await this.policy.start(kept, compiled);
    // Of the others the load has filled the sets.
    for (const table of this.#allTables()) if (adopted.has(table)) await this.#tables.reconcile(table);
    for (const table of this.#allTables()) this.#tables.expiry.consider(table);
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
    await this.#tables.expiry.stop();
    this.knocks.stop();
    await this.#tables.doubts.stop();
    await this.#base.gate.close(async () => {});
  }

  markConnection(connection: FlowMark): Promise<void> {
    return this.#base.kernel.markConnection(connection);
  }

  async metrics(): Promise<EngineMetrics> {
    await this.tables.list();
    // While a load runs, the indexes aren't sure: this waits.
    const overflows = await this.#base.gate.pass(() => readOverflows(this.policy.manifest, this.#base.kernel));
    return this.#base.counters.metrics(this.#allTables(), {
      policy: this.policy.metrics,
      overflows,
      missingDevices: this.#interfaces.missing(),
    });
  }

  async takeFromStore(): Promise<ChangeCount> {
    const { store } = this.#base;
    if (store === undefined) return nothingChanged;
    const parts = { store, writer: this.#tables.writer, clock: this.#base.clock };
    const total = await takeAllFromStore(this.#allTables(), parts, ({ name }, count) =>
      this.events.emit('table', { table: name, source: fromStore, count }),
    );
    await this.knocks.restore();
    await this.conditions.restore();
    return total;
  }

  #allTables(): Iterable<LiveTable> {
    return this.#tables.policyTables.tables.values();
  }

  async #notice(): Promise<void> {
    for (const table of [...this.#allTables()]) {
      await this.#base.gate.pass(() => this.#tables.reader.notice(table, noticeMs));
    }
  }

  /** Stepping the clock back may bring back entries of which it had seemed that they had expired. */
  async #watchClock(): Promise<void> {
    const stepMs = this.#base.store?.watchClock() ?? 0;
    if (stepMs === 0) return;
    this.events.emit('clock', { stepMs });
    await this.takeFromStore();
  }

  #switched(plan: Plan): void {
    switchValues(this.#values, plan);
    this.#interfaces.switch(plan.manifest);
    this.#countries.switch(plan);
    void this.knocks.restore().catch(this.#base.trouble);
    void this.#interfaces.update();
    for (const table of this.#allTables()) this.#tables.expiry.consider(table);
  }

  /** What left the policy is forgotten, on disk too. */
  async #settled(): Promise<void> {
    const origin = { kind: 'policy', id: this.policy.current?.source.file ?? '' } as const;
    const left = this.#tables.policyTables.forget();
    const drafts = [
      ...left.map((table): Draft => ({ kind: 'flush', table: table.name, origin })),
      ...forgetValues(this.#values),
    ];
    if (drafts.length > 0) await this.#base.committer.commit(drafts, []);
    await this.knocks.forget(origin);
  }
}

/** Hosts that rules have added are known at the latest after this time. */
const noticeMs = 10_000;
const clockWatchMs = 1_000;
