/** Reads a file of the store frame by frame, and steps over what is damaged. */

import type { ReadFile } from './disk.js';
import { type FileHeader, type Frame, frameLength, headerBytes, readFileHeader, readFrame } from './frame.js';
import { currentFormat } from './register-codec.js';

const windowBytes = 1024 * 1024;

export interface Damage {
  readonly offset: number;
  readonly bytes: number;
  /** Nothing whole follows: what a crash in the middle of a write leaves. */
  readonly atEnd: boolean;
}

/** For people. */
export function describeDamage({ offset, bytes, atEnd }: Damage): string {
  return atEnd
    ? `the last ${bytes} bytes, from ${offset} on, are no whole record; a crash in the middle of a write leaves that`
    : `${bytes} bytes from ${offset} on are damaged`;
}

export class FileScan {
  readonly header: FileHeader | undefined;
  readonly damage: Damage[] = [];
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  constructor(private readonly file: ReadFile) {
    this.header = readFileHeader(file.read(0, headerBytes));
  }

  /** The whole frames, in order. Afterwards `damage` says what was stepped over. */
  *frames(): Generator<Frame> {
    const format = Math.min(this.header?.format ?? currentFormat, currentFormat);
    let offset = this.header === undefined ? 0 : headerBytes;
    let damagedFrom = this.header === undefined ? 0 : undefined;
    while (offset < this.file.size) {
      const frame = this.#frameAt(offset, format);
      if (frame === undefined && damagedFrom === undefined && this.#isEmptyFrom(offset)) return;
      if (frame === undefined) {
        damagedFrom ??= offset;
        offset = this.#nextMagic(offset + 1);
        continue;
      }
      if (damagedFrom !== undefined)
        this.damage.push({ offset: damagedFrom, bytes: offset - damagedFrom, atEnd: false });
      damagedFrom = undefined;
      yield frame.frame;
      offset += frame.length;
    }
    if (damagedFrom !== undefined) {
      this.damage.push({
        offset: damagedFrom,
        bytes: this.file.size - damagedFrom,
        atEnd: this.header !== undefined || this.file.size < headerBytes,
      });
    }
  }

  #frameAt(offset: number, format: number): { readonly frame: Frame; readonly length: number } | undefined {
    const head = this.#bytes(offset, 12);
    const length = frameLength(head, 0);
    if (length === undefined || offset + length > this.file.size) return undefined;
    const frame = readFrame(this.#bytes(offset, length), format);
    return frame === undefined ? undefined : { frame, length };
  }

  /** Room that nobody has written to yet: zeros up to the end. */
  #isEmptyFrom(from: number): boolean {
    for (let offset = from; offset < this.file.size; offset += windowBytes) {
      if (this.#bytes(offset, windowBytes).some((byte) => byte !== 0)) return false;
    }
    return true;
  }

  /** Where the next frame may begin. */
  #nextMagic(from: number): number {
    for (let offset = from; offset < this.file.size; offset += windowBytes) {
      const bytes = this.#bytes(offset, windowBytes + 3);
      const found = bytes.indexOf('PSFR', 0, 'latin1');
      if (found >= 0) return offset + found;
    }
    return this.file.size;
  }

  #bytes(offset: number, length: number): Buffer {
    const start = offset - this.#windowAt;
    const wanted = Math.min(length, this.file.size - offset);
    if (start < 0 || start + wanted > this.#window.length) {
      this.#window = this.file.read(offset, Math.max(wanted, windowBytes));
      this.#windowAt = offset;
      return this.#window.subarray(0, wanted);
    }
    return this.#window.subarray(start, start + wanted);
  }
}
