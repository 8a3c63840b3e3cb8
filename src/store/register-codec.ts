/**
 * Registers as bytes, about 20 for an entry among others. Numbers are big-endian; `text` is UTF-8 behind a length of one byte.
 *
 * | Kind  | Fields, in this order                                                                                     |
 * |-------|-----------------------------------------------------------------------------------------------------------|
 * | entry | u8 1, u8 flags, u8 prefix length, address 4 or 16, stamp u64, [expiry u48], [node text, table text,      |
 * |       | origin kind u8, origin id text], [comment text]                                                           |
 * | flush | u8 2, stamp u64, node text, table text, origin kind u8, origin id text                                    |
 * | value | u8 3, u8 flags, stamp u64, [expiry u48], node text, space text, key text, [u32 length, JSON]              |
 * | mark  | u8 4, expiry u48, 16 bytes, protocol text                                                                 |
 *
 * Flags: 1 delete (value: no value), 2 exception, 4 IPv6, 8 has expiry, 16 has comment, 32 node, table and origin are
 * those of the entry before it in the frame, 64 the comment is, too (from format 3 on).
 * Stamps are microseconds. In format 1 they were milliseconds in a u48.
 */

import { addressBytes, addressFromBytes, type Prefix } from '../net/address.js';
import type { ByteReader, ByteWriter } from './byte-writer.js';
import type {
  EntryRegister,
  EntryRun,
  FlushRegister,
  Json,
  MarkRegister,
  Origin,
  Register,
  Space,
  ValueRegister,
} from './register.js';

/** The format that is written. Every older one is read. */
export const currentFormat = 3;

const entryKind = 1;
const flushKind = 2;
const valueKind = 3;
const markKind = 4;

const isDelete = 1;
const isException = 2;
const isIpv6 = 4;
const hasExpiry = 8;
const hasComment = 16;
const sameSource = 32;
const sameComment = 64;

export const markBytes = 16;

/** A place in this list is what stands in a record: only append, up to 16. */
export const originKinds: readonly Origin['kind'][] = [
  'cli',
  'rest',
  'pftabled',
  'blacklistd',
  'knock',
  'scan',
  'rule',
  'import',
  'policy',
];

/** What an entry may share with the one before it in the frame. */
export type EntryTexts = Pick<EntryRegister, 'node' | 'table' | 'origin' | 'comment'>;

/** @param before of the entry before it in the frame, whose texts aren't written again */
export function writeRegister(out: ByteWriter, register: Register | EntryRun, before?: EntryTexts): void {
  if (register.kind === 'run') writeRun(out, register, before);
  else if (register.kind === 'entry') writeEntry(out, register, before);
  else if (register.kind === 'flush') writeFlush(out, register);
  else if (register.kind === 'value') writeValue(out, register);
  else writeMark(out, register);
}

function writeEntry(out: ByteWriter, entry: EntryRegister, before: EntryTexts | undefined): void {
  const flags = flagsOf(entry, before) | (entry.op === 'delete' ? isDelete : 0);
  writeHead(out, flags, entry.prefix, entry.at, entry.expiresAt);
  writeTexts(out, flags, entry);
}

/** Only the first has texts. */
function writeRun(out: ByteWriter, run: EntryRun, before: EntryTexts | undefined): void {
  const flags = flagsOf(run, before);
  const others = flagsOf(run, run);
  let { at } = run;
  for (const prefix of run.prefixes) {
    const isFirst = at === run.at;
    writeHead(out, isFirst ? flags : others, prefix, at++, run.expiresAt);
    if (isFirst) writeTexts(out, flags, run);
  }
}

function writeHead(out: ByteWriter, flags: number, prefix: Prefix, at: number, expiresAt: number | undefined): void {
  out.u8(entryKind);
  out.u8(prefix.family === 6 ? flags | isIpv6 : flags);
  out.u8(prefix.length);
  if (prefix.family === 4) out.u32(Number(prefix.value));
  else out.raw(addressBytes(prefix));
  out.u64(at);
  if (expiresAt !== undefined) out.u48(expiresAt);
}

function writeTexts(out: ByteWriter, flags: number, { node, table, origin, comment }: EntryTexts): void {
  if ((flags & sameSource) === 0) {
    out.shortText(node);
    out.shortText(table);
    writeOrigin(out, origin);
  }
  if (comment !== undefined && (flags & sameComment) === 0) out.shortText(comment);
}

/** Those that don't depend on the prefix. */
function flagsOf(entry: EntryRegister | EntryRun, before: EntryTexts | undefined): number {
  const { comment } = entry;
  return (
    (entry.not ? isException : 0) |
    (entry.expiresAt === undefined ? 0 : hasExpiry) |
    (comment === undefined ? 0 : hasComment) |
    (before !== undefined && hasSameSource(entry, before) ? sameSource : 0) |
    (comment !== undefined && comment === before?.comment ? sameComment : 0)
  );
}

function hasSameSource(a: EntryTexts, b: EntryTexts): boolean {
  return a.table === b.table && a.node === b.node && a.origin.kind === b.origin.kind && a.origin.id === b.origin.id;
}

function writeFlush(out: ByteWriter, flush: FlushRegister): void {
  out.u8(flushKind);
  out.u64(flush.at);
  out.shortText(flush.node);
  out.shortText(flush.table);
  writeOrigin(out, flush.origin);
}

function writeValue(out: ByteWriter, value: ValueRegister): void {
  out.u8(valueKind);
  out.u8((value.value === undefined ? isDelete : 0) | (value.expiresAt === undefined ? 0 : hasExpiry));
  out.u64(value.at);
  if (value.expiresAt !== undefined) out.u48(value.expiresAt);
  out.shortText(value.node);
  out.shortText(value.space);
  out.shortText(value.key);
  if (value.value !== undefined) out.longText(JSON.stringify(value.value));
}

function writeMark(out: ByteWriter, mark: MarkRegister): void {
  out.u8(markKind);
  out.u48(mark.expiresAt);
  out.raw(mark.mark);
  out.shortText(mark.protocol);
}

function writeOrigin(out: ByteWriter, origin: Origin): void {
  out.u8(originKinds.indexOf(origin.kind));
  out.shortText(origin.id);
}

/**
 * Reads one register of the given format.
 * @param before the entry before it in the frame
 * @throws RangeError when the bytes are none.
 */
export function readRegister(from: ByteReader, format: number, before?: EntryRegister): Register {
  const kind = from.u8();
  if (kind === entryKind) return readEntry(from, format, before);
  if (kind === flushKind) return readFlush(from, format);
  if (kind === valueKind) return readValue(from, format);
  if (kind === markKind) return readMark(from);
  throw new RangeError(`no register begins with ${kind}`);
}

function readStamp(from: ByteReader, format: number): number {
  return format === 1 ? from.u48() * 1000 : from.u64();
}

function readEntry(from: ByteReader, format: number, before: EntryRegister | undefined): EntryRegister {
  const flags = from.u8();
  const length = from.u8();
  const prefix: Prefix =
    flags & isIpv6
      ? { family: 6, value: addressFromBytes(from.raw(16)).value, length }
      : { family: 4, value: BigInt(from.u32()), length };
  const at = readStamp(from, format);
  const expiresAt = flags & hasExpiry ? from.u48() : undefined;
  if (flags & (sameSource | sameComment) && before === undefined) throw new RangeError('no entry is before it');
  const { node, table, origin } = flags & sameSource ? before! : readSource(from);
  const comment = flags & sameComment ? before!.comment : flags & hasComment ? from.shortText() : undefined;
  const op = flags & isDelete ? 'delete' : 'add';
  return { kind: 'entry', table, prefix, op, not: (flags & isException) !== 0, at, node, origin, expiresAt, comment };
}

function readSource(from: ByteReader): Pick<EntryRegister, 'node' | 'table' | 'origin'> {
  const node = from.shortText();
  return { node, table: from.shortText(), origin: readOrigin(from) };
}

function readFlush(from: ByteReader, format: number): FlushRegister {
  const at = readStamp(from, format);
  const node = from.shortText();
  return { kind: 'flush', at, node, table: from.shortText(), origin: readOrigin(from) };
}

function readValue(from: ByteReader, format: number): ValueRegister {
  const flags = from.u8();
  const at = readStamp(from, format);
  const expiresAt = flags & hasExpiry ? from.u48() : undefined;
  const node = from.shortText();
  const space = from.shortText() as Space;
  const key = from.shortText();
  const value = flags & isDelete ? undefined : (JSON.parse(from.longText()) as Json);
  return { kind: 'value', space, key, value, expiresAt, at, node };
}

function readMark(from: ByteReader): MarkRegister {
  const expiresAt = from.u48();
  const mark = Buffer.from(from.raw(markBytes));
  return { kind: 'mark', protocol: from.shortText(), mark, expiresAt };
}

function readOrigin(from: ByteReader): Origin {
  const kind = originKinds[from.u8()];
  if (kind === undefined) throw new RangeError('unknown kind of origin');
  return { kind, id: from.shortText() };
}
