/** Reads the folder at start: the newest complete snapshot, the journals since, and what is wrong with any of them. */

import { asPosternError } from '../errors.js';
import type { Disk } from './disk.js';
import type { Frame, Head } from './frame.js';
import type { MarkRegister, Register } from './register.js';
import { currentFormat } from './register-codec.js';
import { type Damage, describeDamage, FileScan } from './scan.js';
import type { State } from './state.js';
import { pairUp, type SingleWord } from './take-back.js';
import { type Reading, shiftOf } from './timeline.js';

export interface Loaded {
  /** The highest number of a file; 0: the folder is new. */
  readonly number: number;
  /** Head of the file that was written last. */
  readonly head: Head | undefined;
  /** The clocks as they were noted last. */
  readonly reading: Reading | undefined;
  readonly journals: number;
  readonly journalBytes: number;
  readonly snapshotBytes: number;
  readonly damaged: readonly FileTrouble[];
  /** Files that a newer version wrote. */
  readonly newer: readonly FileTrouble[];
  /** Words of requests that were not done, each with what was known before, in their order. */
  readonly undone: readonly SingleWord[];
  /** Something that was acknowledged may be missing. */
  readonly lossy: boolean;
}

export interface FileTrouble {
  readonly file: string;
  /** For people. */
  readonly what: string;
}

export interface StoreFile {
  readonly name: string;
  readonly kind: 'journal' | 'snapshot';
  readonly number: number;
}

const filePattern = /^(journal|snapshot)-(\d{8})$/;

/** Files of the store in the order of their numbers, the snapshot before the journal. */
export function storeFiles(disk: Disk): StoreFile[] {
  const files = disk.list().flatMap((name): StoreFile[] => {
    const [, kind, number] = filePattern.exec(name) ?? [];
    return kind === undefined ? [] : [{ name, kind: kind as StoreFile['kind'], number: Number(number) }];
  });
  return files.sort((a, b) => a.number - b.number || (a.kind < b.kind ? 1 : -1));
}

/**
 * Joins what the folder holds into the state, and reports what it found.
 * @throws errors of the file system when the folder can't be read at all.
 */
export function load(disk: Disk, state: State, steadyMs: number): Loaded {
  return new Loading(disk, state, steadyMs).run();
}

type Part = Frame & { readonly kind: 'part' };

/** Worked out at the end: nearly all requests were done. */
function undoneOf(requests: Iterable<readonly Part[]>): SingleWord[] {
  const words = [...requests].flatMap((parts) => parts.flatMap(({ registers, before }) => pairUp(registers, before)));
  return words.sort((a, b) => a.register.at - b.register.at);
}

class Loading {
  readonly #damaged: FileTrouble[] = [];
  readonly #newer: FileTrouble[] = [];
  /** The parts of requests whose end has not come yet. */
  readonly #requests = new Map<number, Part[]>();
  #lossy = false;
  #head: Head | undefined;
  #reading: Reading | undefined;
  #journalBytes = 0;
  #snapshotBytes = 0;

  constructor(
    private readonly disk: Disk,
    private readonly state: State,
    private readonly steadyMs: number,
  ) {}

  run(): Loaded {
    const files = storeFiles(this.disk);
    const base = this.#readSnapshots(files.filter(({ kind }) => kind === 'snapshot'));
    const journals = files.filter(({ kind, number }) => kind === 'journal' && number >= base);
    for (const [index, file] of journals.entries()) {
      const before = index === 0 ? base - 1 : journals[index - 1]!.number;
      if (base > 0 && file.number > before + 1) this.#lose(file, `the journal before it is missing`);
      this.#readJournal(file, base, index === journals.length - 1);
    }
    return {
      number: files.at(-1)?.number ?? 0,
      head: this.#head,
      reading: this.#reading,
      journals: journals.length,
      journalBytes: this.#journalBytes,
      snapshotBytes: this.#snapshotBytes,
      damaged: this.#damaged,
      newer: this.#newer,
      undone: undoneOf(this.#requests.values()),
      lossy: this.#lossy,
    };
  }

  /** Reads the newest complete snapshot, and what can be read of incomplete ones; answers its number, 0: none is complete. */
  #readSnapshots(snapshots: readonly StoreFile[]): number {
    for (const file of snapshots.toReversed()) {
      let complete = false;
      const damage = this.#read(file, (frame) => {
        if (frame.kind === 'head') this.#takeHead(frame.head);
        if (frame.kind === 'end') complete = true;
      });
      if (damage === undefined) continue;
      if (damage.length === 0 && complete) return file.number;
      if (damage.length === 0) this.#lose(file, 'it ends before its last record');
      for (const part of damage) this.#lose(file, describeDamage(part));
    }
    return 0;
  }

  #readJournal(file: StoreFile, base: number, isLast: boolean): void {
    const damage = this.#read(file, (frame) => {
      if (frame.kind === 'head') {
        // A snapshot of the same number was taken after the shift.
        if (frame.head.shift !== undefined && file.number > base) this.state.moveExpiries(shiftOf(frame.head.shift));
        this.#takeHead(frame.head);
      }
      if (frame.kind === 'clock' && this.#reading !== undefined) {
        this.#reading = { ...this.#reading, wallMs: frame.wallMs, uptimeMs: frame.uptimeMs };
      }
    });
    for (const part of damage ?? []) {
      if (part.atEnd && isLast) this.#damaged.push({ file: file.name, what: describeDamage(part) });
      else this.#lose(file, describeDamage(part));
    }
  }

  /** Joins the file's changes; answers what is damaged, or undefined when nothing of it could be read. */
  #read(file: StoreFile, take: (frame: Frame) => void): readonly Damage[] | undefined {
    try {
      const content = this.disk.read(file.name);
      try {
        if (file.kind === 'journal') this.#journalBytes += content.size;
        else this.#snapshotBytes += content.size;
        const scan = new FileScan(content);
        if (scan.header !== undefined && scan.header.format > currentFormat) {
          const what = `its format is ${scan.header.format}, and this version knows formats up to ${currentFormat}`;
          this.#newer.push({ file: file.name, what });
          return undefined;
        }
        for (const frame of scan.frames()) {
          if (frame.kind === 'change') this.#join(frame.registers);
          else if (frame.kind === 'part') this.#joinPart(frame);
          else if (frame.kind === 'done') this.#requests.delete(frame.request);
          else take(frame);
        }
        return scan.damage;
      } finally {
        content.close();
      }
    } catch (error) {
      this.#lose(file, `it can't be read: ${asPosternError(error).message}`);
      return undefined;
    }
  }

  #joinPart(part: Part): void {
    this.#join(part.registers);
    const parts = this.#requests.get(part.request);
    if (parts === undefined) this.#requests.set(part.request, [part]);
    else parts.push(part);
  }

  #join(registers: readonly Register[]): void {
    for (const register of registers) {
      if (register.kind === 'mark') this.#joinMark(register);
      else this.state.join(register);
    }
  }

  /** Remembered for as long as the message was still valid when the clocks were noted. */
  #joinMark({ protocol, mark, expiresAt }: MarkRegister): void {
    const leftMs = expiresAt - (this.#reading?.wallMs ?? 0);
    if (leftMs > 0) this.state.marks(protocol).add(mark, expiresAt, this.steadyMs + leftMs);
  }

  #takeHead(head: Head): void {
    this.#head = head;
    this.#reading = { bootId: head.bootId, wallMs: head.wallMs, uptimeMs: head.uptimeMs };
  }

  #lose(file: StoreFile, what: string): void {
    this.#damaged.push({ file: file.name, what });
    this.#lossy = true;
  }
}
