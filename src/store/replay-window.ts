/** Guards over the state: the decision is in memory and at once, the promise is the disk's. */

import { PosternError } from '../errors.js';
import type { MarkRegister } from './register.js';
import { markBytes } from './register-codec.js';
import type { State } from './state.js';
import type { ReplayWindow, Sequence } from './store.js';
import type { StoreClock } from './system-clock.js';

/** Marks that are kept of all protocols together: of 50,000 messages a second as long as a fresh one is taken, and some. */
export const maxMarks = 4_000_000;

/** What the guards need of the store around them. */
export interface GuardStore {
  readonly state: State;
  readonly clock: StoreClock;
  /** Messages taken before this aren't known; ms since the epoch. */
  readonly lostMarksAt: number | undefined;
  /** @throws PosternError `system` while nothing can be put on the disk, `busy` when too much waits for it. */
  requireWritable(): void;
  /** Goes to the disk before all that is written afterwards. */
  writeMark(mark: MarkRegister): void;
  /** Resolves when all that was written so far is on the disk. @throws PosternError `system` when it can't be. */
  durable(): Promise<void>;
  persistNumber(name: string, number: bigint): Promise<void>;
}

export function openReplayWindow(store: GuardStore, protocol: string): ReplayWindow {
  return {
    take(mark, { from, until }) {
      if (mark.length < markBytes) throw new PosternError('internal', `a mark has at least ${markBytes} bytes`);
      if (store.lostMarksAt !== undefined && from < store.lostMarksAt) return false;
      if (store.state.counts.marks >= maxMarks) {
        throw new PosternError(
          'busy',
          `${maxMarks} signed messages are remembered; try again when old ones have expired`,
        );
      }
      store.requireWritable();
      const short = mark.subarray(0, markBytes);
      const keepUntil = store.clock.steadyMs() + Math.max(0, until - store.clock.wallMs());
      if (!store.state.marks(protocol).add(short, until, keepUntil)) return false;
      store.writeMark({ kind: 'mark', protocol, mark: short, expiresAt: until });
      return true;
    },
    async admit(mark, valid) {
      if (!this.take(mark, valid)) return false;
      await store.durable();
      return true;
    },
  };
}

export function openSequence(store: GuardStore, name: string): Sequence {
  const current = () => {
    const value = store.state.value('sequence', name)?.value;
    return typeof value === 'string' ? BigInt(value) : undefined;
  };
  return {
    get current() {
      return current();
    },
    async advance(number) {
      const highest = current();
      if (highest !== undefined && number <= highest) return false;
      await store.persistNumber(name, number);
      return true;
    },
  };
}
