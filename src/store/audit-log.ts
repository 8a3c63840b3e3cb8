/**
 * The audit log: `audit.jsonl`, one line of JSON for each change, and older ones as `audit.jsonl.1` and so on, the
 * oldest removed. It never keeps a change from being made: what can't be written is counted and told.
 */

import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asPosternError } from '../errors.js';
import { type AuditEvent, changeLines, eventLine } from './audit-lines.js';
import type { Outcome } from './committer.js';
import type { Draft } from './store.js';

export interface AuditOptions {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** A file is rotated when it is so large. */
  readonly maxBytes?: number;
  /** Files, the current one included. */
  readonly maxFiles?: number;
  /** Told once when lines begin to be lost, and when they no longer are. */
  readonly notify?: (notice: string) => void;
}

/** What may wait for the disk. */
const maxWaitingBytes = 4 * 1024 * 1024;
const retryMs = 5_000;

interface Batch {
  readonly lines: string[];
  bytes: number;
  readonly written: Promise<void>;
  readonly settle: () => void;
}

export class AuditLog {
  readonly #path: string;
  readonly #now: () => number;
  readonly #maxBytes: number;
  readonly #maxFiles: number;
  readonly #notify: (notice: string) => void;
  #file: FileHandle | undefined;
  #bytes = 0;
  #waiting: Batch | undefined;
  #running: Promise<void> | undefined;
  #dropped = 0;
  #retryAt = 0;

  constructor({ path, now = Date.now, maxBytes = 16 * 1024 * 1024, maxFiles = 8, notify = () => {} }: AuditOptions) {
    this.#path = path;
    this.#now = now;
    this.#maxBytes = maxBytes;
    this.#maxFiles = maxFiles;
    this.#notify = notify;
  }

  /** Lines that were lost since they last could be written. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * A change that is being made. What is to be written of it is worked out as soon as there is nothing else to do: mostly
   * while the kernel makes it. The outcome resolves when it is written down or that was given up.
   */
  change(drafts: readonly Draft[]): Outcome {
    let lines: readonly string[] | undefined;
    const prepared = setImmediate(() => {
      lines = changeLines(drafts, this.#now());
    });
    return (error) => {
      if (error !== undefined || lines === undefined) {
        clearImmediate(prepared);
        lines = changeLines(drafts, this.#now(), error);
      }
      return this.#append(lines);
    };
  }

  /** Writes down something else that was done. Never rejects. */
  event(event: AuditEvent, error?: unknown): Promise<void> {
    return this.#append([eventLine(event, this.#now(), error)]);
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#file?.close();
    this.#file = undefined;
  }

  #append(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    const batch = this.#waiting ?? newBatch();
    if (batch.bytes > maxWaitingBytes) {
      this.#drop(lines.length, 'they come faster than they can be written');
      return Promise.resolve();
    }
    this.#waiting = batch;
    for (const line of lines) {
      batch.lines.push(line);
      batch.bytes += line.length + 1;
    }
    this.#running ??= this.#run();
    return batch.written;
  }

  async #run(): Promise<void> {
    while (this.#waiting !== undefined) {
      // What is done in one moment goes in one write: else the first of many would be answered before the others.
      await new Promise(setImmediate);
      const batch = this.#waiting;
      this.#waiting = undefined;
      await this.#write(batch.lines);
      batch.settle();
    }
    this.#running = undefined;
  }

  async #write(lines: readonly string[]): Promise<void> {
    if (this.#now() < this.#retryAt) return this.#drop(lines.length, 'the file could not be written');
    try {
      const file = await this.#current();
      const lost = this.#dropped;
      const who = { kind: 'policy', id: 'audit' } as const;
      const gap = lost === 0 ? [] : [eventLine({ who, op: 'lines lost', detail: lost }, this.#now())];
      const bytes = Buffer.from(`${[...gap, ...lines].join('\n')}\n`);
      for (let written = 0; written < bytes.length; ) {
        written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
      }
      this.#bytes += bytes.length;
      if (lost > 0) this.#notify(`the audit log ${this.#path} is written again; ${lost} lines were lost`);
      this.#dropped -= lost;
    } catch (error) {
      await this.#file?.close().catch(() => {});
      this.#file = undefined;
      this.#retryAt = this.#now() + retryMs;
      this.#drop(lines.length, asPosternError(error).message);
    }
  }

  /** The file to write to; rotated when it is full. */
  async #current(): Promise<FileHandle> {
    if (this.#file !== undefined && this.#bytes < this.#maxBytes) return this.#file;
    if (this.#file === undefined) mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    await this.#file?.close();
    this.#file = undefined;
    const before = lastByteOf(this.#path);
    if (before.size >= this.#maxBytes) this.#rotate();
    this.#file = await open(this.#path, 'a', 0o600);
    this.#bytes = before.size >= this.#maxBytes ? 0 : before.size;
    // A line that was torn by a crash stays alone.
    if (this.#bytes > 0 && !before.endsLine) await this.#file.write('\n');
    return this.#file;
  }

  #rotate(): void {
    rmSync(`${this.#path}.${this.#maxFiles - 1}`, { force: true });
    for (let number = this.#maxFiles - 2; number >= 0; number--) {
      const from = number === 0 ? this.#path : `${this.#path}.${number}`;
      try {
        renameSync(from, `${this.#path}.${number + 1}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  #drop(lines: number, reason: string): void {
    if (this.#dropped === 0) this.#notify(`the audit log ${this.#path} loses lines: ${reason}`);
    this.#dropped += lines;
  }
}

function newBatch(): Batch {
  let settle = () => {};
  const written = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { lines: [], bytes: 0, written, settle };
}

function lastByteOf(path: string): { readonly size: number; readonly endsLine: boolean } {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { size: 0, endsLine: true };
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const last = Buffer.alloc(1);
    return { size, endsLine: size === 0 || (readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === 0x0a) };
  } finally {
    closeSync(fd);
  }
}
