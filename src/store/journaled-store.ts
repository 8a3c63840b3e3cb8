/**
 * The store: state in memory, changes in the journal. A change is stamped and joined when it is asked for, then made durable
 * together with all that came meanwhile.
 */

import { PosternError } from '../errors.js';
import { checkDrafts } from './check-drafts.js';
import type { ClockWatch } from './clock-watch.js';
import type { DurableLog } from './durable-log.js';
import type { FrameToWrite } from './frame.js';
import type { HybridClock, Stamps } from './hybrid-clock.js';
import { KeptState } from './kept-state.js';
import type { MarkRegister, Register } from './register.js';
import { type GuardStore, openReplayWindow, openSequence } from './replay-window.js';
import { type Bounds, Room } from './room.js';
import { say, type Word } from './say.js';
import type { State } from './state.js';
import type { Draft, ReplayWindow, Revoke, Sequence, Store, StoreRequest, StoreStatus } from './store.js';
import { Sweeper } from './sweeper.js';
import type { StoreClock } from './system-clock.js';
import { takeBack } from './take-back.js';
import { shiftOf } from './timeline.js';

/** What `openStore` puts together. */
export interface Parts {
  readonly node: string;
  readonly state: State;
  readonly log: DurableLog;
  readonly stamps: HybridClock;
  readonly clock: StoreClock;
  readonly watch: ClockWatch;
  readonly bounds: Bounds;
  readonly notices: () => readonly string[];
  /** Gives the folder free for others. */
  readonly release: () => void;
}

const tickMs = 250;
/** How far the clocks on the disk may lag behind, busy and idle. */
const readingEveryMs = 1_000;
const idleReadingEveryMs = 10_000;
/** Stamps may be so far ahead of our clock when they come from elsewhere. */
const maxAheadMs = 86_400_000;
const registersPerFrame = 1_000;

export class JournaledStore extends KeptState implements Store, GuardStore {
  readonly node: string;
  readonly #parts: Parts;
  readonly #sweeper: Sweeper;
  readonly #room: Room;
  readonly #timer: NodeJS.Timeout;
  #readingAtMs = 0;

  constructor(parts: Parts) {
    const { node, state, clock, log, bounds } = parts;
    super(state, clock);
    this.#parts = parts;
    this.node = node;
    this.#sweeper = new Sweeper(state, bounds.maxDead);
    this.#room = new Room(state, log, this.#sweeper, bounds);
    this.#timer = setInterval(() => this.tick(), tickMs).unref();
  }

  status(): StoreStatus {
    const { log, notices } = this.#parts;
    return {
      mode: log.trouble === undefined ? 'durable' : 'memory',
      notices: notices(),
      ...this.state.counts,
      ...log.status,
    };
  }

  write(drafts: readonly Draft[]): Promise<Revoke> {
    return this.#write(drafts, changeOf);
  }

  request(): StoreRequest {
    // A stamp is a number that nobody else has, here and in journals of before.
    const request = this.#parts.stamps.next();
    const release = this.#parts.log.holdJournals();
    const part: FrameOf = (words) => ({
      kind: 'part',
      request,
      registers: words.map(({ register }) => register),
      before: words.flatMap(({ before }) => before),
    });
    return {
      write: (drafts) => this.#write(drafts, part),
      done: async () => {
        await this.#appendFrame({ kind: 'done', request });
        release();
      },
    };
  }

  /** Not `async`: at tens of thousands a second each promise counts. */
  #write(drafts: readonly Draft[], frameOf: FrameOf): Promise<Revoke> {
    let words: readonly Word[];
    try {
      words = this.#sayAll(drafts);
    } catch (error) {
      return Promise.reject(error);
    }
    const durable = words.length > 0 ? this.#appendFrame(frameOf(words)) : this.#parts.log.durable;
    return durable.then(() => () => this.#revoke(words, frameOf));
  }

  async join(registers: Iterable<Register>): Promise<number> {
    let won = 0;
    let frame: Register[] = [];
    for (const register of registers) {
      this.#checkForeign(register);
      if (!this.#joinForeign(register)) continue;
      won++;
      if (frame.push(register) < registersPerFrame) continue;
      await this.#append(frame);
      frame = [];
    }
    await this.#append(frame);
    return won;
  }

  replayWindow(protocol: string): ReplayWindow {
    return openReplayWindow(this, protocol);
  }

  sequence(name: string): Sequence {
    return openSequence(this, name);
  }

  get lostMarksAt(): number | undefined {
    return this.#parts.watch.lostMarksAt;
  }

  requireDurable(): void {
    if (this.#parts.log.trouble !== undefined) throw this.#notDurable();
  }

  requireWritable(): void {
    this.requireDurable();
    this.#parts.log.checkRoom();
  }

  writeMark(mark: MarkRegister): void {
    void this.#append([mark]);
  }

  async durable(): Promise<void> {
    if (!(await this.#parts.log.durable)) throw this.#notDurable();
  }

  async persistNumber(name: string, number: bigint): Promise<void> {
    const draft: Draft = { kind: 'value', space: 'sequence', key: name, value: String(number) };
    void this.#appendFrame(changeOf(this.#sayAll([draft])));
    await this.durable();
  }

  watchClock(): number {
    this.#lookAtClock();
    return this.#parts.watch.takeStep();
  }

  /** Everything that is done now and then; a timer calls it. */
  tick(): void {
    const { log } = this.#parts;
    this.#sweeper.step(this.clock.wallMs());
    this.state.expireMarks(this.clock.wallMs(), this.clock.steadyMs());
    log.tick();
    if (this.clock.steadyMs() - this.#readingAtMs >= idleReadingEveryMs) this.#appendReading();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#appendReading();
    await this.#parts.log.close();
    this.#parts.release();
  }

  /** @throws PosternError `full`, `busy`, `invalid`; nothing was changed. */
  #sayAll(drafts: readonly Draft[]): readonly Word[] {
    if (drafts.length === 0) return [];
    this.#room.check(checkDrafts(drafts), this.clock.wallMs());
    this.#lookAtClock();
    const stamps = this.#parts.stamps.now();
    // Most changes are one wish.
    const [only] = drafts;
    return drafts.length === 1 ? this.#say(only!, stamps) : drafts.flatMap((draft) => this.#say(draft, stamps));
  }

  /** Stamps and joins a wish; nothing when there is nothing to do. */
  #say(draft: Draft, stamps: Stamps): readonly Word[] {
    const words = say(draft, this.state, stamps, this.node);
    for (const { register } of words) this.#forgetDelete(register);
    return words;
  }

  /** At the bound deletes are only in the journal, where they stand behind what they delete. */
  #forgetDelete(register: Word['register']): void {
    if (register.kind !== 'entry' || register.op !== 'delete') return;
    const table = this.state.openTable(register.table);
    if (table.deleted > this.#parts.bounds.maxDead) table.forget(register.prefix);
  }

  async #revoke(words: readonly Word[], frameOf: FrameOf): Promise<void> {
    const back: Word[] = [];
    takeBack(words, this.state, (draft) => {
      back.push(...this.#say(draft, this.#parts.stamps.now()));
    });
    if (back.length > 0) await this.#appendFrame(frameOf(back));
  }

  #lookAtClock(): void {
    const { watch, log } = this.#parts;
    const shift = watch.look();
    if (shift === undefined) return;
    this.state.moveExpiries(shiftOf(shift));
    log.restate(shift);
  }

  #append(registers: readonly Register[]): Promise<boolean> {
    return registers.length === 0 ? Promise.resolve(true) : this.#appendFrame({ kind: 'change', registers });
  }

  /** True when it is durable. */
  #appendFrame(frame: FrameToWrite): Promise<boolean> {
    if (this.clock.steadyMs() - this.#readingAtMs >= readingEveryMs) this.#appendReading();
    return this.#parts.log.append(frame);
  }

  #appendReading(): void {
    this.#readingAtMs = this.clock.steadyMs();
    const { wallMs, uptimeMs } = this.clock.reading();
    void this.#parts.log.append({ kind: 'clock', wallMs, uptimeMs });
  }

  #notDurable(): PosternError {
    return new PosternError(
      'system',
      `signed requests are refused while the state directory can't be written: ${this.#parts.log.trouble}`,
    );
  }

  /** @throws PosternError `invalid`: it would drag our clock along; `full`. */
  #checkForeign(register: Register): void {
    this.#room.check(0, this.clock.wallMs());
    if (register.kind === 'mark') return;
    if (register.at > (this.clock.wallMs() + maxAheadMs) * 1000) {
      throw new PosternError(
        'invalid',
        `a record is from the future (${new Date(register.at / 1000).toISOString()}); set the clock`,
      );
    }
    this.#parts.stamps.witness(register.at);
  }

  #joinForeign(register: Register): boolean {
    if (register.kind !== 'mark') return this.state.join(register);
    const keepUntil = this.clock.steadyMs() + Math.max(0, register.expiresAt - this.clock.wallMs());
    return this.state.marks(register.protocol).add(register.mark, register.expiresAt, keepUntil);
  }
}

type FrameOf = (words: readonly Word[]) => FrameToWrite;

function changeOf(words: readonly Word[]): FrameToWrite {
  return { kind: 'change', registers: words.map(({ register }) => register) };
}
