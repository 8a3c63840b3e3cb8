/**
 * From datagrams to changes of tables. Nothing that a client sends ends it or is answered; whatever becomes of a
 * datagram is counted. Requests take effect in the order in which they came, those that wait together in one change.
 */

import type { ChangeCount, Tables } from '../../engine/tables.js';
import { asPosternError, type ErrorCode } from '../../errors.js';
import type { Prefix } from '../../net/address.js';
import type { ReplayWindow } from '../../store/store.js';
import { LineLimit } from '../line-limit.js';
import type { Log, LogFacts } from '../service.js';
import { type PftabledRequest, type PftabledRules, pftabledRefusals, verifyPftabled } from './verify.js';

/** Requests that may wait for the tables; beyond, a datagram is counted as `busy` and dropped. */
const waitingBound = 32_768;

const reasons = {
  ...pftabledRefusals,
  replay: 'seen before, or too old to know',
  busy: 'too many requests at once',
  policy: 'the policy says otherwise of this prefix',
  full: 'the table is full',
  failed: 'the change failed',
  lost: 'they came faster than they were read and the receive buffer was full; let the clients send more slowly, and once more what is missing',
} as const;

type Refused = keyof typeof reasons;

/** Everything that can become of a datagram. */
export type PftabledResult = 'added' | 'deleted' | 'flushed' | Refused;

const results: readonly PftabledResult[] = ['added', 'deleted', 'flushed', ...(Object.keys(reasons) as Refused[])];

export interface PftabledEffects {
  readonly tables: Pick<Tables, 'add' | 'delete' | 'flush'>;
  readonly window: Pick<ReplayWindow, 'take'>;
  readonly log: Pick<Log, 'warn'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of added entries; absent: the table's own; 0: permanent. */
  readonly timeoutMs?: number;
}

/**
 * Requests that are one change at most: one transaction. What takes several is taken back after a crash, which of requests
 * that nobody repeats would leave nothing.
 */
const runBound = 1_000;
/** Changes that are on their way to disk and kernel. */
const runsUnderWay = 4;

interface Waiting {
  readonly request: PftabledRequest;
  readonly peer: string;
}

/** Requests of one peer in a row that are one change: the same command on the same table. */
interface Run extends Pick<PftabledRequest, 'command' | 'table'> {
  readonly peer: string;
  readonly prefixes: Prefix[];
}

const doneBy = { add: 'added', delete: 'deleted', flush: 'flushed' } as const;

const resultOf: Partial<Record<ErrorCode, Refused>> = { 'not-found': 'table', full: 'full', busy: 'busy' };

export class PftabledReceiver {
  readonly #counts = new Map<PftabledResult, number>(results.map((result) => [result, 0]));
  readonly #limits = new Map<PftabledResult, LineLimit>();
  #waiting: Waiting[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #draining: Promise<void> | undefined;

  constructor(
    readonly rules: PftabledRules,
    readonly effects: PftabledEffects,
  ) {}

  /** Datagrams by what became of them. */
  get counts(): ReadonlyMap<PftabledResult, number> {
    return this.#counts;
  }

  /** Takes a datagram in. Never throws; the bytes may be overwritten afterwards. */
  receive(datagram: Buffer, peer: string): void {
    const verdict = verifyPftabled(datagram, this.effects.now(), this.rules);
    if (typeof verdict === 'string') {
      this.#refuse(verdict, peer);
    } else if (this.#waiting.length >= waitingBound) {
      this.#refuse('busy', peer);
    } else {
      this.#waiting.push({ request: verdict, peer });
      this.#draining ??= this.#drain();
    }
  }

  /** Datagrams that the kernel had no room for. */
  lost(datagrams: number): void {
    this.#count('lost', datagrams);
    this.#warn('lost', (more) => `pftabled: ${datagrams} datagrams were lost${more}: ${reasons.lost}`, {});
  }

  /** Settles when everything that was taken in is done. */
  async settled(): Promise<void> {
    await this.#draining;
    await this.#followed();
  }

  async #drain(): Promise<void> {
    // What is read in one go goes together.
    await undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const admitted = batch.filter((waiting) => this.#admit(waiting));
      // The marks aren't waited for: a change goes to the disk behind them, and to the kernel when both are there.
      for (const run of runsOf(admitted)) await this.#begin(run);
    }
    this.#draining = undefined;
  }

  /** Additions overlap, so that they needn't keep the disk's pace; the tables keep their order. Others come alone. */
  async #begin(run: Run): Promise<void> {
    const overlaps = run.command === 'add';
    while (this.#underWay.size >= (overlaps ? runsUnderWay : 1)) await Promise.race(this.#underWay);
    const change = this.#change(run).finally(() => this.#underWay.delete(change));
    this.#underWay.add(change);
    if (!overlaps) await change;
  }

  async #followed(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #admit({ request, peer }: Waiting): boolean {
    try {
      const isNew = this.effects.window.take(request.mark, request.valid);
      if (!isNew) this.#refuse('replay', peer);
      return isNew;
    } catch (error) {
      this.#fail(error, peer);
      return false;
    }
  }

  /** One change for all; when the table is full one by one, so that it takes what it still has room for. */
  async #change(run: Run): Promise<void> {
    const { command, table, peer, prefixes } = run;
    const requests = Math.max(1, prefixes.length);
    try {
      const count = await this.#apply(run);
      // What a flush leaves alone is no request that was refused.
      const refused = command === 'flush' ? 0 : count.refused;
      this.#count(doneBy[command], requests - refused);
      for (let i = 0; i < refused; i++) this.#refuse('policy', peer, table);
    } catch (error) {
      if (requests > 1 && asPosternError(error).code === 'full') {
        for (const prefix of prefixes) await this.#change({ ...run, prefixes: [prefix] });
      } else {
        for (let i = 0; i < requests; i++) this.#fail(error, peer, table);
      }
    }
  }

  #apply({ command, table, peer, prefixes }: Run): Promise<ChangeCount> {
    const { tables, timeoutMs } = this.effects;
    const source = { kind: 'pftabled', id: peer } as const;
    switch (command) {
      case 'flush':
        return tables.flush(table, source);
      case 'delete':
        return tables.delete(table, prefixes, source);
      case 'add':
        return tables.add(
          table,
          prefixes.map((prefix) => (timeoutMs === undefined ? { prefix } : { prefix, timeoutMs })),
          source,
        );
    }
  }

  #fail(thrown: unknown, peer: string, table?: string): void {
    const error = asPosternError(thrown);
    this.#refuse(resultOf[error.code] ?? 'failed', peer, table, error.message);
  }

  #refuse(result: Refused, peer: string, table?: string, detail: string = reasons[result]): void {
    this.#count(result, 1);
    const text = (more: string) => `pftabled: refused a datagram from ${peer}: ${detail}${more}`;
    this.#warn(result, text, { peer, table });
  }

  #warn(result: Refused, text: (more: string) => string, facts: LogFacts): void {
    let limit = this.#limits.get(result);
    if (limit === undefined) {
      limit = new LineLimit();
      this.#limits.set(result, limit);
    }
    const heldBack = limit.pass(this.effects.now());
    if (heldBack === undefined) return;
    const more = heldBack === 0 ? '' : ` (and ${heldBack} more like it)`;
    this.effects.log.warn(text(more), { result, ...facts });
  }

  #count(result: PftabledResult, by: number): void {
    this.#counts.set(result, this.#counts.get(result)! + by);
  }
}

/** Cuts requests, in their order, into runs that are one change each. A flush stands alone. */
function runsOf(admitted: readonly Waiting[]): Run[] {
  const runs: Run[] = [];
  for (const { request, peer } of admitted) {
    const { command, table } = request;
    let run = runs.at(-1);
    const fits = run?.command === command && run.table === table && run.peer === peer && command !== 'flush';
    if (run === undefined || !fits || run.prefixes.length >= runBound) {
      run = { command, table, peer, prefixes: [] };
      runs.push(run);
    }
    if (request.prefix !== undefined) run.prefixes.push(request.prefix);
  }
  return runs;
}
