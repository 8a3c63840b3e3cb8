/** A disk in memory that can crash, fill up, be read-only: what the store does about it is tested on this one. */

import type { AppendFile, Disk } from './disk.js';

interface MemoryFile {
  bytes: Buffer;
  length: number;
  /** How much of it survives a loss of power. */
  durable: number;
}

export interface MemoryDisk extends Disk {
  /** Called before each effect on the disk, with its name; what it throws is what the caller gets, and the effect fails. */
  beforeEffect: (effect: 'create' | 'append' | 'sync' | 'rename' | 'remove' | 'sync-names', name: string) => void;
  /**
   * The disk as a new process finds it.
   * @param keep how much of what was appended and not synced is there: 0 none, 1 all (the process died, the machine didn't)
   */
  afterCrash(keep: number): MemoryDisk;
  /** Content of a file, to damage it. */
  bytes(name: string): Buffer;
  put(name: string, bytes: Buffer): void;
}

export function memoryDisk(): MemoryDisk {
  return new FilesInMemory(new Map());
}

class FilesInMemory implements MemoryDisk {
  readonly path = 'memory';
  beforeEffect: MemoryDisk['beforeEffect'] = () => {};

  constructor(private readonly files: Map<string, MemoryFile>) {}

  list(): string[] {
    return [...this.files.keys()];
  }

  read(name: string) {
    const { bytes, length } = this.#file(name);
    return {
      size: length,
      read: (offset: number, count: number) => Buffer.from(bytes.subarray(offset, Math.min(offset + count, length))),
      close: () => {},
    };
  }

  async create(name: string, synced: boolean): Promise<AppendFile> {
    this.beforeEffect('create', name);
    if (this.files.has(name)) throw errnoError('EEXIST', name);
    const file: MemoryFile = { bytes: Buffer.alloc(4096), length: 0, durable: 0 };
    this.files.set(name, file);
    return {
      append: async (bytes) => {
        await nextTurn();
        this.beforeEffect('append', name);
        append(file, bytes);
        if (synced) file.durable = file.length;
      },
      sync: async () => {
        await nextTurn();
        this.beforeEffect('sync', name);
        file.durable = file.length;
      },
      close: async () => {},
    };
  }

  rename(from: string, to: string): void {
    this.beforeEffect('rename', from);
    const file = this.#file(from);
    this.files.delete(from);
    this.files.set(to, file);
  }

  remove(name: string): void {
    this.beforeEffect('remove', name);
    this.files.delete(name);
  }

  syncNames(): void {
    this.beforeEffect('sync-names', '');
  }

  afterCrash(keep: number): MemoryDisk {
    const survivors = [...this.files].map(([name, file]) => {
      const length = file.durable + Math.floor((file.length - file.durable) * keep);
      return [name, { bytes: Buffer.from(file.bytes.subarray(0, length)), length, durable: length }] as const;
    });
    return new FilesInMemory(new Map(survivors));
  }

  bytes(name: string): Buffer {
    const { bytes, length } = this.#file(name);
    return Buffer.from(bytes.subarray(0, length));
  }

  put(name: string, bytes: Buffer): void {
    this.files.set(name, { bytes: Buffer.from(bytes), length: bytes.length, durable: bytes.length });
  }

  #file(name: string): MemoryFile {
    const file = this.files.get(name);
    if (file === undefined) throw errnoError('ENOENT', name);
    return file;
  }
}

function append(file: MemoryFile, bytes: Buffer): void {
  if (file.length + bytes.length > file.bytes.length) {
    const larger = Buffer.alloc(Math.max(file.length + bytes.length, file.bytes.length * 2));
    file.bytes.copy(larger, 0, 0, file.length);
    file.bytes = larger;
  }
  bytes.copy(file.bytes, file.length);
  file.length += bytes.length;
}

/** An error as the file system throws it. */
export function errnoError(code: 'ENOENT' | 'EEXIST' | 'ENOSPC' | 'EROFS' | 'EIO' | 'EACCES', name: string): Error {
  return Object.assign(new Error(`${code}: ${name}`), { code });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
