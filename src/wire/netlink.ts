/**
 * Netlink framing: messages, attributes, acknowledgements with extended errors, batches' bones.
 * Sources: linux/netlink.h, netlink(7). Headers are in host order; Postern runs on little-endian hosts only.
 *
 * | Message offset | Size | Field |
 * |---|---|---|
 * | 0 | 4 | length, header included |
 * | 4 | 2 | type |
 * | 6 | 2 | flags |
 * | 8 | 4 | sequence number |
 * | 12 | 4 | port of the sender |
 *
 * | Attribute offset | Size | Field |
 * |---|---|---|
 * | 0 | 2 | length, header included, padding excluded |
 * | 2 | 2 | type; 0x8000 nested, 0x4000 network order |
 * | 4 | n | payload, padded to 4 bytes |
 */

import { PosternError } from '../errors.js';

export const HEADER_BYTES = 16;
export const ATTRIBUTE_HEADER_BYTES = 4;

export const FLAG = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  ECHO: 8,
  DUMP_INTERRUPTED: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCLUSIVE: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** In acknowledgements: the request's payload was cut off. */
  CAPPED: 0x100,
  /** In acknowledgements: attributes with the reason follow. */
  ACK_ATTRIBUTES: 0x200,
} as const;

export const CONTROL = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const EXT_ACK = { MESSAGE: 1, OFFSET: 2 } as const;

/** One message of a datagram; `body` starts behind the header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly port: number;
  readonly body: Buffer;
}

/** What an NLMSG_ERROR says. `errno` 0 acknowledges. */
export interface Acknowledgement {
  readonly seq: number;
  /** Positive error number, 0 for success. */
  readonly errno: number;
  /** Bytes from the start of the refused message to the attribute that was refused. */
  readonly offset?: number;
  readonly reason?: string;
  /** The refused message, where the kernel quotes all of it. */
  readonly quoted?: Uint8Array;
}

/** Next multiple of 4. */
export function align(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** The error for bytes that no kernel should have sent. */
export function malformed(what: string, at: number): PosternError {
  return new PosternError('kernel', `netlink: ${what} at byte ${at}; the message can't be read`);
}

/**
 * Little-endian number of 16 bits at `at`, which must be there. Byte by byte: with a method of Buffer, the ten attributes
 * of a logged packet cost 0.3 µs more.
 */
function u16(data: Uint8Array, at: number): number {
  return data[at]! | (data[at + 1]! << 8);
}

/**
 * End (without padding) of the message at `at`: to walk a datagram in place.
 * @param limit where the datagram ends
 * @throws PosternError `kernel` when its length doesn't fit.
 */
export function messageEnd(datagram: Uint8Array, at: number, limit = datagram.length): number {
  if (limit - at < HEADER_BYTES) throw malformed('cut message header', at);
  const length = (u16(datagram, at) | (u16(datagram, at + 2) << 16)) >>> 0;
  if (length < HEADER_BYTES || length > limit - at) throw malformed(`message of ${length} bytes`, at);
  return at + length;
}

/** Type of the message at `at`, whose header is there. */
export function messageTypeAt(datagram: Uint8Array, at: number): number {
  return u16(datagram, at + 4);
}

/**
 * Splits a datagram into its messages.
 * @throws PosternError `kernel` when a length doesn't fit.
 */
export function readMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0, end = 0; at < datagram.length; at = align(end)) {
    end = messageEnd(datagram, at);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      seq: datagram.readUInt32LE(at + 8),
      port: datagram.readUInt32LE(at + 12),
      body: datagram.subarray(at + HEADER_BYTES, end),
    });
  }
  return messages;
}

/**
 * End (without padding) of the attribute at `at`. Attributes are walked with
 * `for (let at = from, end = 0; at < to; at = align(end)) { end = attributeEnd(data, at, to); … }`.
 * @throws PosternError `kernel` when it doesn't fit before `limit`.
 */
export function attributeEnd(data: Uint8Array, at: number, limit: number): number {
  if (limit - at < ATTRIBUTE_HEADER_BYTES) throw malformed('cut attribute header', at);
  const length = u16(data, at);
  if (length < ATTRIBUTE_HEADER_BYTES || length > limit - at) throw malformed(`attribute of ${length} bytes`, at);
  return at + length;
}

/** Type of the attribute at `at`, without its nested and byte-order bits. */
export function attributeType(data: Uint8Array, at: number): number {
  return u16(data, at + 2) & TYPE_MASK;
}

/** The attributes between `from` and `to` by type; of a repeated type the last. */
export function attributeMap(data: Buffer, from = 0, to = data.length): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = from, end = 0; at < to; at = align(end)) {
    end = attributeEnd(data, at, to);
    found.set(attributeType(data, at), data.subarray(at + ATTRIBUTE_HEADER_BYTES, end));
  }
  return found;
}

/** A text attribute's payload without its terminating NUL. */
export function readText(payload: Buffer): string {
  const nul = payload.indexOf(0);
  return payload.toString('utf8', 0, nul < 0 ? payload.length : nul);
}

/** @throws PosternError `kernel` when the payload isn't of this size. */
export function readU16be(payload: Buffer): number {
  if (payload.length !== 2) throw malformed(`16-bit number of ${payload.length} bytes`, 0);
  return payload.readUInt16BE(0);
}

/** @throws PosternError `kernel` when the payload isn't of this size. */
export function readU32be(payload: Buffer): number {
  if (payload.length !== 4) throw malformed(`32-bit number of ${payload.length} bytes`, 0);
  return payload.readUInt32BE(0);
}

/** @throws PosternError `kernel` when the payload isn't of this size. */
export function readU64be(payload: Buffer): bigint {
  if (payload.length !== 8) throw malformed(`64-bit number of ${payload.length} bytes`, 0);
  return payload.readBigUInt64BE(0);
}

/**
 * Reads an NLMSG_ERROR, with the extended reason when the socket asked for it (NETLINK_EXT_ACK).
 * @throws PosternError `kernel` on a message of another type or cut short.
 */
export function readAcknowledgement(message: NetlinkMessage): Acknowledgement {
  const { body } = message;
  if (message.type !== CONTROL.ERROR || body.length < 4 + HEADER_BYTES) throw malformed('cut acknowledgement', 0);
  const errno = 0 - body.readInt32LE(0);
  const seq = body.readUInt32LE(4 + 8);
  if ((message.flags & FLAG.ACK_ATTRIBUTES) === 0) {
    const quotes = errno !== 0 && (message.flags & FLAG.CAPPED) === 0 && body.length > 4 + HEADER_BYTES;
    return quotes ? { seq, errno, quoted: Uint8Array.from(body.subarray(4)) } : { seq, errno };
  }
  const length = (message.flags & FLAG.CAPPED) === 0 ? body.readUInt32LE(4) : HEADER_BYTES;
  if (length > body.length) throw malformed(`quoted message of ${length} bytes`, 4);
  const quoted = align(length);
  const attributes = attributeMap(body, 4 + quoted, body.length);
  const reason = attributes.get(EXT_ACK.MESSAGE);
  const offset = attributes.get(EXT_ACK.OFFSET);
  if (offset !== undefined && offset.length !== 4) throw malformed('offset of an error', 4 + quoted);
  return {
    seq,
    errno,
    ...(reason === undefined ? {} : { reason: readText(reason) }),
    ...(offset === undefined ? {} : { offset: offset.readUInt32LE(0) }),
  };
}

/**
 * Writes messages one behind the other into one growing buffer.
 * Numbers are big-endian unless the method says host.
 */
export class MessageWriter {
  #buffer: Buffer;
  #length = 0;
  #messageAt = -1;

  constructor(capacityBytes = 4096) {
    this.#buffer = zeroed(capacityBytes);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of the message being written. */
  get messageLength(): number {
    return this.#length - this.#messageAt;
  }

  begin(type: number, flags: number, seq: number): void {
    this.#messageAt = this.#reserve(HEADER_BYTES);
    const buffer = this.#buffer;
    buffer.writeUInt16LE(type, this.#messageAt + 4);
    buffer.writeUInt16LE(flags, this.#messageAt + 6);
    buffer.writeUInt32LE(seq, this.#messageAt + 8);
    buffer.writeUInt32LE(0, this.#messageAt + 12);
  }

  end(): void {
    this.#buffer.writeUInt32LE(this.#length - this.#messageAt, this.#messageAt);
  }

  /** Sets a flag on the message that starts at `at`. */
  addFlags(at: number, flags: number): void {
    addFlags(this.#buffer, at, flags);
  }

  /** A family's fixed header behind the message header (nfgenmsg, ifinfomsg …), padded. */
  header(bytes: Uint8Array): void {
    const at = this.#reserve(align(bytes.length));
    const buffer = this.#buffer;
    for (let index = 0; index < bytes.length; index++) buffer[at + index] = bytes[index] as number;
  }

  u8(type: number, value: number): void {
    const at = this.#attribute(type, 1);
    this.#buffer[at] = value;
  }

  u16(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#buffer.writeUInt16BE(value, at);
  }

  u32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#buffer.writeUInt32BE(value, at);
  }

  u32host(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#buffer.writeUInt32LE(value, at);
  }

  /** A number up to 2^53, as 64 bits. */
  u64(type: number, value: number): void {
    const at = this.#attribute(type, 8);
    putU32be(this.#buffer, at, Math.floor(value / 0x1_0000_0000));
    putU32be(this.#buffer, at + 4, value % 0x1_0000_0000);
  }

  u64big(type: number, value: bigint): void {
    const at = this.#attribute(type, 8);
    this.#buffer.writeBigUInt64BE(value, at);
  }

  bytes(type: number, value: Uint8Array): void {
    const at = this.#attribute(type, value.length);
    const buffer = this.#buffer;
    // A loop beats `set` for the few bytes of a key.
    for (let index = 0; index < value.length; index++) buffer[at + index] = value[index] as number;
  }

  /** NUL-terminated text. */
  text(type: number, value: string): void {
    const bytes = Buffer.byteLength(value);
    const at = this.#attribute(type, bytes + 1);
    this.#buffer.write(value, at);
    this.#buffer[at + bytes] = 0;
  }

  /** Opens a nested attribute; give the answer to `close`. */
  open(type: number): number {
    const at = this.#reserve(ATTRIBUTE_HEADER_BYTES);
    this.#buffer[at + 2] = type & 0xff;
    this.#buffer[at + 3] = (type | NESTED) >> 8;
    return at;
  }

  close(at: number): void {
    const length = this.#length - at;
    this.#buffer[at] = length & 0xff;
    this.#buffer[at + 1] = length >> 8;
  }

  /** What was written, without a copy: the writer must not be used any more. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Reserving may replace the buffer: take the place first, the buffer afterwards. */
  #attribute(type: number, payloadBytes: number): number {
    const at = this.#reserve(align(ATTRIBUTE_HEADER_BYTES + payloadBytes));
    const buffer = this.#buffer;
    const length = ATTRIBUTE_HEADER_BYTES + payloadBytes;
    // Byte by byte: this runs some ten times for each element of a batch.
    buffer[at] = length & 0xff;
    buffer[at + 1] = length >> 8;
    buffer[at + 2] = type & 0xff;
    buffer[at + 3] = type >> 8;
    return at + ATTRIBUTE_HEADER_BYTES;
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#buffer.length) {
      const larger = zeroed(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}

/** Sets flags on the message that starts at `at`. */
export function addFlags(bytes: Buffer, at: number, flags: number): void {
  bytes.writeUInt16LE(bytes.readUInt16LE(at + 6) | flags, at + 6);
}

/** Padding must not carry what was in memory before; memory of its own, which can be handed to another thread. */
function zeroed(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes));
}

function putU32be(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = (value >>> 16) & 0xff;
  buffer[at + 2] = (value >>> 8) & 0xff;
  buffer[at + 3] = value & 0xff;
}
