/** A growing buffer for the codecs of this folder; numbers are big-endian. */

export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** Makes room for `count` bytes and returns where they begin. */
  reserve(count: number): number {
    const start = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.length, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, start);
      this.bytes = larger;
    }
    return start;
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.reserve(2);
    this.bytes.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    const at = this.reserve(4);
    put32(this.bytes, at, value);
  }

  u48(value: number): void {
    const at = this.reserve(6);
    const high = Math.floor(value / 0x1_0000_0000);
    this.bytes[at] = high >>> 8;
    this.bytes[at + 1] = high;
    put32(this.bytes, at + 2, value);
  }

  /** Up to 2^53. */
  u64(value: number): void {
    const at = this.reserve(8);
    put32(this.bytes, at, Math.floor(value / 0x1_0000_0000));
    put32(this.bytes, at + 4, value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A string of at most 255 bytes of UTF-8, behind its length. */
  shortText(text: string): void {
    const at = this.reserve(1 + text.length * 3);
    const size = asciiInto(this.bytes, at + 1, text) ?? this.bytes.write(text, at + 1);
    if (size > 255) throw new RangeError(`text of ${size} bytes in a field of 255`);
    this.bytes[at] = size;
    this.length = at + 1 + size;
  }

  longText(text: string): void {
    const size = Buffer.byteLength(text);
    this.u32(size);
    const at = this.reserve(size);
    this.bytes.write(text, at);
  }

  /** What was written; valid until the next write. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

/** The low 32 bits, by byte: `writeUInt32BE` checks each time what is known here. */
function put32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Longer texts are quicker in one piece. */
const mostByByte = 32;

/** How many bytes a short text of ASCII has; undefined for others. Names mostly are, and `write` takes five times as long. */
function asciiInto(bytes: Buffer, at: number, text: string): number | undefined {
  if (text.length > mostByByte) return undefined;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return undefined;
    bytes[at + i] = code;
  }
  return text.length;
}

/** Reads what ByteWriter wrote. @throws RangeError behind the end. */
export class ByteReader {
  constructor(
    readonly bytes: Buffer,
    public offset = 0,
    readonly end = bytes.length,
  ) {}

  get atEnd(): boolean {
    return this.offset >= this.end;
  }

  #take(count: number): number {
    const start = this.offset;
    if (start + count > this.end) throw new RangeError('record ends too soon');
    this.offset = start + count;
    return start;
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  u16(): number {
    return this.bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.bytes.readUInt32BE(this.#take(4));
  }

  u48(): number {
    const at = this.#take(6);
    return this.bytes.readUInt16BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 2);
  }

  u64(): number {
    const at = this.#take(8);
    return this.bytes.readUInt32BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 4);
  }

  raw(count: number): Buffer {
    const at = this.#take(count);
    return this.bytes.subarray(at, at + count);
  }

  shortText(): string {
    const size = this.u8();
    const at = this.#take(size);
    return this.bytes.toString('utf8', at, at + size);
  }

  longText(): string {
    const size = this.u32();
    const at = this.#take(size);
    return this.bytes.toString('utf8', at, at + size);
  }
}
