/** The policy that is in force, changes to it, and trials that end by themselves unless they are confirmed. */

import type { EventEmitter } from 'node:events';
import type { Manifest } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { InterruptedLoad, type Kernel } from '../kernel/kernel.js';
import type { Clock } from './clock.js';
import type { EngineEvents, EngineMetrics } from './engine.js';
import { entriesDiff } from './entries-diff.js';
import { emptyLoadable, type Loadable, type Loader, loadable, unknownDigest } from './loader.js';
import type {
  ApplyOptions,
  ApplyResult,
  CompiledPolicy,
  CompilePolicy,
  PolicyControl,
  PolicyDiff,
  PolicyText,
  ProofTerms,
} from './policy-control.js';
import { inventoryDiff } from './policy-diff.js';
import type { EngineState, StateFile } from './state-file.js';

export interface LivePolicyOptions {
  readonly kernel: Kernel;
  readonly loader: Loader;
  readonly compile: CompilePolicy;
  /** The policy file as it is now. */
  readonly readPolicy: () => Promise<PolicyText>;
  readonly state: StateFile;
  readonly clock: Clock;
  readonly events: EventEmitter<EngineEvents>;
  /**
   * Refuses a policy that would cut who must not be cut. Asked after the kernel's check, before anything changes.
   * @param from what is in force; undefined: nothing of ours is known to be
   * @throws PosternError `conflict`, with the flow and the rule
   */
  readonly prove?: (next: CompiledPolicy, from: CompiledPolicy | undefined, terms: ProofTerms) => Promise<void>;
  /** The trial is over: tables that left the policy won't come back. */
  readonly settled: () => Promise<void>;
  /** The kernel may hold another policy than the one in force, because a load broke off. */
  readonly unsure: (reason: string) => void;
}

/** What is in the kernel. */
interface Force extends Loadable {
  readonly compiled: CompiledPolicy | undefined;
}

interface Trial {
  readonly before: Force;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** On the steady clock: when it goes back. */
  readonly overAt: number;
  readonly cancel: () => void;
}

const longestTrialMs = 3_600_000;
const shortestTrialMs = 1_000;
const rollbackRetryMs = 1_000;

export class LivePolicy implements PolicyControl {
  #force: Force = { ...emptyLoadable, compiled: undefined };
  #trial: Trial | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #counts = { applied: 0, failed: 0, rolledBack: 0 };
  #appliedAt: number | undefined;

  constructor(private readonly options: LivePolicyOptions) {}

  get current(): CompiledPolicy | undefined {
    return this.#force.compiled;
  }

  get confirmBy(): number | undefined {
    return this.#trial?.until;
  }

  /** What of ours should be in the kernel. */
  get manifest(): Manifest {
    return this.#force.plan.manifest;
  }

  get metrics(): EngineMetrics['policy'] {
    return { ...this.#counts, ...(this.#appliedAt !== undefined && { appliedAt: this.#appliedAt }) };
  }

  /**
   * The first apply after a start.
   * @param kept what the last process has left behind; its plan is not known any more, its manifest and inventory are
   */
  async start(kept: EngineState | undefined, compiled: CompiledPolicy): Promise<void> {
    await this.#alone(async () => {
      const { plan } = this.#force;
      if (kept !== undefined) {
        const tables = { ...emptyLoadable.tables, tables: kept.tables };
        this.#force = {
          plan: { ...plan, manifest: kept.manifest },
          inventory: kept.inventory,
          tables,
          compiled: undefined,
        };
      }
      const diff = await this.#change(compiled, { known: false });
      await this.options.settled();
      if (kept?.trialOver == null) return;
      this.#counts.rolledBack++;
      this.options.events.emit('policy', { what: 'rolled-back', diff });
    });
  }

  async plan(source?: PolicyText): Promise<PolicyDiff> {
    const compiled = await this.#compile(source);
    const diff = await this.#diff(compiled);
    if (!diff.empty) await this.options.kernel.check(compiled.plan, this.#manifest());
    return diff;
  }

  async apply(source?: PolicyText, { confirmWithinMs, ...terms }: ApplyOptions = {}): Promise<ApplyResult> {
    if (confirmWithinMs !== undefined) checkTrial(confirmWithinMs);
    return this.#alone(async () => {
      if (this.#trial !== undefined) {
        throw new PosternError('conflict', 'a change waits to be confirmed; confirm it or roll it back first');
      }
      const before = this.#force;
      const diff = await this.#counted(async () =>
        this.#change(
          await this.#compile(source),
          { known: true, terms },
          confirmWithinMs !== undefined ? before : undefined,
        ),
      );
      if (confirmWithinMs === undefined || diff.empty) {
        await this.options.settled();
        return { diff };
      }
      return { diff, confirmBy: this.#try(before, confirmWithinMs) };
    });
  }

  async confirm(): Promise<void> {
    await this.#alone(async () => {
      const { before, overAt } = this.#trialOr('nothing waits to be confirmed, or it is too late');
      if (this.options.clock.steady() >= overAt) {
        throw new PosternError('conflict', 'it is too late to confirm the change; it is being rolled back');
      }
      this.#endTrial();
      const diff = inventoryDiff(before.inventory, this.#force.inventory, await this.options.kernel.present());
      await this.#keep();
      await this.options.settled();
      this.options.events.emit('policy', { what: 'confirmed', diff: asDiff(diff, []) });
    });
  }

  rollback(): Promise<ApplyResult> {
    return this.#alone(() => this.#rollback());
  }

  /** Loads what is in force once more, in its turn. */
  reload(): Promise<void> {
    return this.#alone(() => this.options.loader.reload(this.#force));
  }

  /** Ends without a rollback: the next start sees the trial and rolls back first. */
  async stop(): Promise<void> {
    await this.#turn.catch(() => {});
    this.#trial?.cancel();
  }

  async #rollback(): Promise<ApplyResult> {
    const { before } = this.#trialOr('nothing waits to be confirmed');
    const failed = this.#force;
    const changes = inventoryDiff(failed.inventory, before.inventory, await this.options.kernel.present());
    // A trial that could not be taken back is not over.
    await this.options.loader.load(before, failed, this.#manifest());
    this.#endTrial();
    this.#force = before;
    this.#counts.rolledBack++;
    await this.#keep();
    await this.options.settled();
    const diff = asDiff(changes, []);
    this.options.events.emit('policy', { what: 'rolled-back', diff });
    return { diff };
  }

  #try(before: Force, confirmWithinMs: number): number {
    const { clock } = this.options;
    const [until, overAt] = [clock.wall() + confirmWithinMs, clock.steady() + confirmWithinMs];
    this.#trial = { before, until, overAt, cancel: this.#rollbackAt(overAt, until) };
    return until;
  }

  /** Takes the trial back at its time, and when that fails again and again: somebody may be locked out. */
  #rollbackAt(at: number, until: number): () => void {
    const { clock, events } = this.options;
    return clock.at(at, () => {
      const isMeant = () => this.#trial?.until === until;
      this.#alone(async () => isMeant() && this.#rollback()).catch((error: Error) => {
        events.emit('trouble', { error });
        if (!isMeant()) return;
        const cancel = this.#rollbackAt(clock.steady() + rollbackRetryMs, until);
        this.#trial = { ...this.#trial!, cancel };
      });
    });
  }

  #trialOr(otherwise: string): Trial {
    if (this.#trial === undefined) throw new PosternError('conflict', otherwise);
    return this.#trial;
  }

  #endTrial(): void {
    this.#trial?.cancel();
    this.#trial = undefined;
  }

  /** @param before what a trial would go back to */
  async #change(
    compiled: CompiledPolicy,
    { known, terms = {} }: { known: boolean; terms?: ProofTerms },
    before?: Force,
  ): Promise<PolicyDiff> {
    const { kernel, loader, events, clock } = this.options;
    const diff = await this.#diff(compiled);
    const next: Force = { ...loadable(compiled.plan), compiled };
    if (!diff.empty || !known) {
      const manifest = this.#manifest();
      await kernel.check(compiled.plan, manifest);
      if (known) await this.options.prove?.(compiled, this.#force.compiled, terms);
      await this.#keep(either(next, this.#force), before);
      try {
        await loader.load(next, known ? this.#force : undefined, manifest);
      } catch (error) {
        await this.#keep();
        if (error instanceof InterruptedLoad) this.options.unsure(`a load of the policy broke off: ${error.message}`);
        throw error;
      }
    }
    const isNews = !diff.empty || this.#force.compiled?.source.text !== compiled.source.text;
    this.#force = next;
    await this.#keep(next, before);
    if (isNews) {
      this.#counts.applied++;
      this.#appliedAt = clock.wall();
      events.emit('policy', { what: 'applied', diff });
    }
    return diff;
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#counts.failed++;
      throw error;
    }
  }

  async #compile(source: PolicyText | undefined): Promise<CompiledPolicy> {
    const { compile, readPolicy } = this.options;
    return compile(source ?? (await readPolicy()), this.#manifest());
  }

  async #diff({ plan }: CompiledPolicy): Promise<PolicyDiff> {
    const presence = await this.options.kernel.present();
    const warnings = plan.warnings.map(({ at, message }) => `${at.file}:${at.line}:${at.column}: ${message}`);
    const { inventory, tables } = loadable(plan);
    const changes = [
      ...inventoryDiff(this.#force.inventory, inventory, presence),
      ...(await entriesDiff(this.#force.tables.tables, tables.tables)),
    ];
    return asDiff(changes, warnings);
  }

  /** What may be in the kernel; undefined when nothing is known. */
  #manifest(): Manifest | undefined {
    const { manifest } = this.#force.plan;
    return manifest.digest === '' ? undefined : manifest;
  }

  /** Writes what a restart has to know. */
  async #keep(force = this.#force, before?: Force): Promise<void> {
    const source = force.compiled?.source;
    if (source === undefined) return;
    await this.options.state.write({
      manifest: force.plan.manifest,
      inventory: force.inventory,
      tables: force.tables.tables,
      source,
      ...(before !== undefined && { trialOver: before.compiled?.source ?? null }),
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const own = this.#turn.then(work, work);
    this.#turn = own.catch(() => {});
    return own;
  }
}

function asDiff(changes: PolicyDiff['changes'], warnings: PolicyDiff['warnings']): PolicyDiff {
  return { empty: changes.length === 0, changes, warnings };
}

function checkTrial(ms: number): void {
  if (ms >= shortestTrialMs && ms <= longestTrialMs) return;
  throw new PosternError('invalid', `${ms} ms is no time to confirm in; it goes from 1 s to 1 h`);
}

/** Before a load: whatever a crash leaves in the kernel can be told apart afterwards. */
function either(next: Force, force: Force): Force {
  const [{ manifest }, { manifest: old }] = [next.plan, force.plan];
  const isNew = ({ family, name }: Manifest['tables'][number]) =>
    !manifest.tables.some((table) => table.family === family && table.name === name);
  const tables = next.tables.tables.map((table) => {
    const before = force.tables.tables.find(({ name }) => name === table.name);
    return before === undefined ? table : { ...table, entries: [...before.entries, ...table.entries] };
  });
  return {
    ...next,
    plan: {
      ...next.plan,
      manifest: { ...manifest, digest: unknownDigest, tables: [...manifest.tables, ...old.tables.filter(isNew)] },
    },
    tables: { ...next.tables, tables },
  };
}
