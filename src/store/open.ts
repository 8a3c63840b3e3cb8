/** Opens the store: loads what is on the disk, puts aside what can't be used, and goes on whatever it finds. */

import { asPosternError } from '../errors.js';
import { ClockWatch } from './clock-watch.js';
import type { Disk } from './disk.js';
import { DurableLog } from './durable-log.js';
import type { Head } from './frame.js';
import { HybridClock } from './hybrid-clock.js';
import { JournaledStore } from './journaled-store.js';
import { type Loaded, load, storeFiles } from './load.js';
import { registersOf } from './register.js';
import { type Bounds, defaultBounds } from './room.js';
import { type Stamped, say, type Word } from './say.js';
import { asideName } from './set-aside.js';
import { State } from './state.js';
import type { Store } from './store.js';
import { type StoreClock, systemClock } from './system-clock.js';
import { takeBack } from './take-back.js';
import { clockAtStart, shiftOf } from './timeline.js';

export interface StoreOptions {
  readonly disk: Disk;
  /** Name of this node in its registers, `[a-z0-9-]{1,32}`. */
  readonly node: string;
  readonly clock?: StoreClock;
  readonly bounds?: Partial<Bounds>;
  /** Told once of each thing that people should know: damage, a stepped clock, a full disk. */
  readonly notify?: (notice: string) => void;
  /** Gives free what keeps others from the folder. */
  readonly release?: () => void;
}

const maxNotices = 20;
/** So many journals are read at start before a snapshot is worth its price. */
const maxJournals = 8;
/** And so many bytes of them: to read 8 MiB takes a third of a second. */
const maxJournalBytes = 8 * 1024 * 1024;

/**
 * Opens the store. Whatever the folder holds, this succeeds: what is damaged or of a newer version is set aside, and when
 * nothing can be read or written the store works in memory. `status().notices` says what happened.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { disk, node, clock = systemClock(), notify = () => {} } = options;
  const notices: string[] = [];
  const note = (notice: string) => {
    if (notices.push(notice) > maxNotices) notices.shift();
    notify(notice);
  };
  const bounds = { ...defaultBounds, ...options.bounds };
  const { state, loaded } = loadOrSetAside(disk, clock, note);
  const aside = new Map(loaded.damaged.map(({ file }) => [file, asideName(file, 'damaged', clock.wallMs())] as const));
  for (const { file, what } of loaded.damaged) {
    note(
      `${disk.path}/${file} is damaged: ${what}; what could be read of it is kept, the file stays as ${aside.get(file)}`,
    );
  }

  const stamps = new HybridClock(() => clock.wallMs());
  stamps.witness(state.latest);
  const takenBack = takeBackUndone(loaded.undone, state, stamps, node);

  const { shift, earlier, notice } = clockAtStart(loaded.reading, clock.reading(), state.latest, loaded.head?.earlier);
  if (notice !== undefined) note(notice);
  if (shift !== undefined) state.moveExpiries(shiftOf(shift));

  const lostMarksAt = loaded.lossy ? clock.wallMs() : loaded.head?.lostMarksAt;
  const watch = new ClockWatch(clock, earlier, lostMarksAt);
  const head = (): Head => ({
    node,
    ...clock.reading(),
    ...(watch.earlier !== undefined && { earlier: watch.earlier }),
    ...(watch.lostMarksAt !== undefined && { lostMarksAt: watch.lostMarksAt }),
  });
  const log = new DurableLog({
    disk,
    number: loaded.number,
    journalBytes: loaded.journalBytes,
    snapshotBytes: loaded.snapshotBytes,
    journalBound: bounds.journalBytes,
    head,
    registers: () => state.registers(),
    aside,
    notify: note,
    steadyMs: () => clock.steadyMs(),
  });
  await log.start(shift);
  if (takenBack.length > 0) {
    await log.append({ kind: 'change', registers: takenBack.map((register) => current(register, state)) });
  }
  const isLong = loaded.journals > maxJournals || loaded.journalBytes > maxJournalBytes + loaded.snapshotBytes;
  if (aside.size > 0 || isLong) void log.snapshot();
  const release = options.release ?? (() => {});
  return new JournaledStore({ node, state, log, stamps, clock, watch, bounds, notices: () => notices, release });
}

/** Takes back what a crash left of requests of several parts; answers what is to be said of it. */
function takeBackUndone(undone: readonly Word[], state: State, stamps: HybridClock, node: string): Stamped[] {
  const said: Stamped[] = [];
  takeBack(undone, state, (draft) => {
    for (const { register } of say(draft, state, stamps.now(), node)) {
      if (register.kind === 'run') said.push(...registersOf(register));
      else said.push(register);
    }
  });
  return said;
}

/** A register as the state has it by now. */
function current(register: Stamped, state: State): Stamped {
  if (register.kind === 'entry') return state.table(register.table)?.get(register.prefix) ?? register;
  return register.kind === 'value' ? (state.value(register.space, register.key) ?? register) : register;
}

const nothing: Loaded = {
  number: 0,
  head: undefined,
  reading: undefined,
  journals: 0,
  journalBytes: 0,
  snapshotBytes: 0,
  damaged: [],
  newer: [],
  undone: [],
  lossy: false,
};

function loadOrSetAside(
  disk: Disk,
  clock: StoreClock,
  note: (notice: string) => void,
): { state: State; loaded: Loaded } {
  const state = new State();
  try {
    const loaded = load(disk, state, clock.steadyMs());
    if (loaded.newer.length === 0) return { state, loaded };
    const [{ file, what }] = loaded.newer as [Loaded['newer'][number]];
    const files = storeFiles(disk);
    const names = files.map(({ name }) => asideName(name, 'newer', clock.wallMs()));
    for (const [index, { name }] of files.entries()) disk.rename(name, names[index]!);
    disk.syncNames();
    note(
      `${disk.path}/${file} was written by a newer version: ${what}; all files stay, as ${names.join(', ')}, and the store begins empty; ` +
        'to go back to them install the newer version and give them their names again',
    );
  } catch (error) {
    note(`the state directory ${disk.path} can't be read (${asPosternError(error).message}); the store begins empty`);
  }
  return { state: new State(), loaded: { ...nothing, lossy: true } };
}
