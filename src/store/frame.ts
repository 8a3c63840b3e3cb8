/**
 * Files of the store: a header, then frames, each with its own check sum.
 *
 * | Offset | Size | Header                                | | Offset | Size | Frame                               |
 * |--------|------|---------------------------------------|-|--------|------|-------------------------------------|
 * | 0      | 8    | `POSTERN\n`                           | | 0      | 4    | `PSFR`                              |
 * | 8      | 2    | format                                | | 4      | 4    | length of the payload               |
 * | 10     | 2    | 1 journal, 2 snapshot                 | | 8      | 4    | CRC-32 of the payload               |
 * | 12     | 4    | number of the file                    | | 12     | …    | payload; its first byte is the kind |
 *
 * A change is one frame, so that a crash keeps all of it or nothing. Registers join in any order, so that frames behind a
 * damaged one are still good.
 */

import { ByteReader, ByteWriter } from './byte-writer.js';
import { crc32 } from './crc32.js';
import type { EntryRegister, EntryRun, Register } from './register.js';
import { currentFormat, type EntryTexts, readRegister, writeRegister } from './register-codec.js';

export type FileKind = 'journal' | 'snapshot';

export const headerBytes = 16;
const frameHeaderBytes = 12;
const magic = Buffer.from('POSTERN\n');
const frameMagic = 0x5053_4652;
/** Longer ones are never written: what says so is damaged. */
export const maxPayloadBytes = 64 * 1024 * 1024;

export interface FileHeader {
  readonly format: number;
  readonly kind: FileKind;
  readonly number: number;
}

export type Frame =
  /** First in every file: what was true when it was begun. */
  | { readonly kind: 'head'; readonly head: Head }
  /** One change, or a piece of a snapshot. */
  | { readonly kind: 'change'; readonly registers: readonly Register[] }
  /** Part of a request that takes several changes; a request without its `done` is taken back when it is read. */
  | {
      readonly kind: 'part';
      readonly request: number;
      readonly registers: readonly Register[];
      /** What was known about the same things. */
      readonly before: readonly Register[];
    }
  | { readonly kind: 'done'; readonly request: number }
  /** The clocks at this place. */
  | { readonly kind: 'clock'; readonly wallMs: number; readonly uptimeMs: number }
  /** Last in a complete snapshot, and in a journal that was closed. */
  | { readonly kind: 'end'; readonly registers: number };

export interface Head {
  readonly node: string;
  readonly bootId: string;
  readonly wallMs: number;
  readonly uptimeMs: number;
  /** Moves the expiries of everything in files with a lower number. */
  readonly shift?: Shift;
  /** Registers up to this stamp are from before the boot; the clock was so much ahead of the last one it had shown. */
  readonly earlier?: Earlier;
  /** Replay windows are unknown before this, in ms since the epoch. */
  readonly lostMarksAt?: number;
}

/** How expiries move: by `ms`, but those of registers stamped up to `before` by `earlierMs`. */
export interface Shift {
  readonly ms: number;
  readonly before: number;
  readonly earlierMs: number;
}

export interface Earlier {
  readonly before: number;
  readonly gapMs: number;
}

const headKind = 1;
const changeKind = 2;
const clockKind = 3;
const endKind = 4;
const partKind = 5;
const doneKind = 6;

export function fileHeader(kind: FileKind, number: number): Buffer {
  const out = new ByteWriter(headerBytes);
  out.raw(magic);
  out.u16(currentFormat);
  out.u16(kind === 'journal' ? 1 : 2);
  out.u32(number);
  return out.view();
}

/** Undefined when the bytes are no header. */
export function readFileHeader(bytes: Buffer): FileHeader | undefined {
  if (bytes.length < headerBytes || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  const kind = bytes.readUInt16BE(10);
  if (kind !== 1 && kind !== 2) return undefined;
  return { format: bytes.readUInt16BE(8), kind: kind === 1 ? 'journal' : 'snapshot', number: bytes.readUInt32BE(12) };
}

/** As it is written: its entries may be in runs. */
export type FrameToWrite =
  | Exclude<Frame, { readonly kind: 'change' | 'part' }>
  | { readonly kind: 'change'; readonly registers: readonly (Register | EntryRun)[] }
  | (Omit<Frame & { kind: 'part' }, 'registers'> & { readonly registers: readonly (Register | EntryRun)[] });

/** Appends a frame. */
export function writeFrame(out: ByteWriter, frame: FrameToWrite): void {
  const start = out.reserve(frameHeaderBytes);
  switch (frame.kind) {
    case 'head':
      out.u8(headKind);
      out.longText(JSON.stringify(frame.head));
      break;
    case 'change':
      out.u8(changeKind);
      writeRegisters(out, frame.registers);
      break;
    case 'part':
      out.u8(partKind);
      out.u64(frame.request);
      out.u32(frame.before.length);
      writeRegisters(out, [...frame.before, ...frame.registers]);
      break;
    case 'done':
      out.u8(doneKind);
      out.u64(frame.request);
      break;
    case 'clock':
      out.u8(clockKind);
      out.u48(frame.wallMs);
      out.u48(frame.uptimeMs);
      break;
    case 'end':
      out.u8(endKind);
      out.u32(frame.registers);
  }
  const payload = start + frameHeaderBytes;
  out.bytes.writeUInt32BE(frameMagic, start);
  out.bytes.writeUInt32BE(out.length - payload, start + 4);
  out.bytes.writeUInt32BE(crc32(out.bytes, payload, out.length), start + 8);
}

/** Length of the whole frame at the offset, when its header says so; undefined when no frame begins there. */
export function frameLength(bytes: Buffer, offset: number): number | undefined {
  if (bytes.length - offset < frameHeaderBytes || bytes.readUInt32BE(offset) !== frameMagic) return undefined;
  const length = bytes.readUInt32BE(offset + 4);
  return length === 0 || length > maxPayloadBytes ? undefined : frameHeaderBytes + length;
}

/** The frame in exactly these bytes; undefined when it is torn or garbled. */
export function readFrame(bytes: Buffer, format: number): Frame | undefined {
  if (crc32(bytes, frameHeaderBytes) !== bytes.readUInt32BE(8)) return undefined;
  try {
    return readPayload(new ByteReader(bytes, frameHeaderBytes), format);
  } catch {
    // The check sum fits and the content doesn't: written by a defect, as good as garbled.
    return undefined;
  }
}

function readPayload(from: ByteReader, format: number): Frame {
  const kind = from.u8();
  if (kind === headKind) return { kind: 'head', head: JSON.parse(from.longText()) as Head };
  if (kind === clockKind) return { kind: 'clock', wallMs: from.u48(), uptimeMs: from.u48() };
  if (kind === endKind) return { kind: 'end', registers: from.u32() };
  if (kind === doneKind) return { kind: 'done', request: from.u64() };
  if (kind === partKind) {
    const [request, count] = [from.u64(), from.u32()];
    const registers = readRegisters(from, format);
    return { kind: 'part', request, before: registers.slice(0, count), registers: registers.slice(count) };
  }
  if (kind !== changeKind) throw new RangeError(`no frame begins with ${kind}`);
  return { kind: 'change', registers: readRegisters(from, format) };
}

function writeRegisters(out: ByteWriter, registers: readonly (Register | EntryRun)[]): void {
  let before: EntryTexts | undefined;
  for (const register of registers) {
    writeRegister(out, register, before);
    if (register.kind === 'entry' || register.kind === 'run') before = register;
  }
}

function readRegisters(from: ByteReader, format: number): Register[] {
  const registers: Register[] = [];
  let before: EntryRegister | undefined;
  while (!from.atEnd) {
    const register = readRegister(from, format, before);
    registers.push(register);
    if (register.kind === 'entry') before = register;
  }
  return registers;
}
