/** The edge to the file system: a folder of flat files. The fake is `memoryDisk`. */

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

export interface Disk {
  /** For messages. */
  readonly path: string;
  list(): string[];
  /** A file to read at any offset, to its length at this moment. */
  read(name: string): ReadFile;
  /**
   * A new file.
   * @param synced every append is on the disk when it resolves
   */
  create(name: string, synced: boolean): Promise<AppendFile>;
  rename(from: string, to: string): void;
  remove(name: string): void;
  /** Makes names durable: what was created, renamed, removed. */
  syncNames(): void;
}

export interface ReadFile {
  readonly size: number;
  /** Up to `length` bytes; fewer only at the end. */
  read(offset: number, length: number): Buffer;
  close(): void;
}

export interface AppendFile {
  append(bytes: Buffer): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A folder of the real file system; it is made when it is missing, for its owner only. */
export function nodeDisk(path: string): Disk {
  return {
    path,
    list() {
      try {
        return readdirSync(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
    read: (name) => readFile(join(path, name)),
    async create(name, synced) {
      const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND, O_DSYNC } = constants;
      mkdirSync(path, { recursive: true, mode: 0o700 });
      const flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | (synced ? O_DSYNC : 0);
      return appendFile(await open(join(path, name), flags, 0o600));
    },
    rename: (from, to) => renameSync(join(path, from), join(path, to)),
    remove: (name) => rmSync(join(path, name), { force: true }),
    syncNames() {
      const folder = openSync(path, 'r');
      try {
        fsyncSync(folder);
      } finally {
        closeSync(folder);
      }
    },
  };
}

function readFile(path: string): ReadFile {
  const { size } = statSync(path);
  const fd = openSync(path, 'r');
  return {
    size,
    read(offset, length) {
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
      let filled = 0;
      while (filled < bytes.length) {
        const count = readSync(fd, bytes, filled, bytes.length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    },
    close: () => closeSync(fd),
  };
}

function appendFile(handle: FileHandle): AppendFile {
  return {
    async append(bytes) {
      let written = 0;
      while (written < bytes.length) {
        written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
