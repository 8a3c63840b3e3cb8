/**
 * Registers as JSON lines: what `postern state export` writes and `postern state import` reads, on another machine or in
 * another version. The first line says what follows. Times are ISO 8601 in UTC; stamps have microseconds.
 */

import { PosternError } from '../errors.js';
import { formatPrefix, parsePrefix } from '../net/prefix.js';
import { quoted } from '../net/text.js';
import { jsonLine } from './json-line.js';
import type { Json, Origin, Register, Space, Stamp } from './register.js';
import { markBytes, originKinds } from './register-codec.js';

/** Changes only when old readers would misread the lines. */
const linesFormat = 1;
const spaces: readonly Space[] = ['knock', 'quota', 'condition', 'account', 'sequence'];
/** Milliseconds since the epoch, as records hold them. */
const maxTimeMs = 2 ** 48 - 1;

export function encodeHeader(node: string, wallMs: number): string {
  return jsonLine({ postern: 'state', format: linesFormat, node, at: new Date(wallMs).toISOString() });
}

/** @throws PosternError `invalid` unless the line begins an export that this version can read. */
export function checkHeader(line: string): void {
  const header = parseObject(line);
  if (header.postern !== 'state') {
    throw new PosternError(
      'invalid',
      'this is no export of `postern state export`: its first line should say {"postern":"state"…}',
    );
  }
  const format = header.format;
  if (format !== linesFormat) {
    throw new PosternError(
      'invalid',
      `the export has format ${JSON.stringify(format)}, this version reads ${linesFormat}; export it again, or import with a newer version`,
    );
  }
}

export function encodeRegister(register: Register): string {
  if (register.kind === 'mark') {
    const { kind, protocol, mark, expiresAt } = register;
    return jsonLine({ kind, protocol, mark: Buffer.from(mark).toString('hex'), expires: isoTime(expiresAt) });
  }
  const { kind, at, node } = register;
  const stamp = { at: isoStamp(at), node };
  if (kind === 'flush') return jsonLine({ kind, table: register.table, origin: register.origin, ...stamp });
  const expires = register.expiresAt === undefined ? undefined : isoTime(register.expiresAt);
  if (kind === 'value') {
    const { space, key, value } = register;
    return jsonLine({ kind, space, key, value, expires, ...stamp });
  }
  const { table, op, prefix, not, comment, origin } = register;
  return jsonLine({
    kind,
    table,
    op,
    prefix: formatPrefix(prefix),
    not: not || undefined,
    expires,
    comment,
    origin,
    ...stamp,
  });
}

/** @throws PosternError `invalid`; says what is wrong, not in which line. */
export function decodeRegister(line: string): Register {
  const fields = parseObject(line);
  const expiresAt = fields.expires === undefined ? undefined : parseTime(fields.expires, 'expires');
  switch (fields.kind) {
    case 'entry':
      return {
        kind: 'entry',
        table: text(fields, 'table', 64),
        prefix: parsePrefix(text(fields, 'prefix', 64)),
        op: oneOf(fields, 'op', ['add', 'delete'] as const),
        not: fields.not === true,
        ...stampOf(fields),
        origin: originOf(fields),
        expiresAt,
        comment: fields.comment === undefined ? undefined : text(fields, 'comment', 127),
      };
    case 'flush':
      return { kind: 'flush', table: text(fields, 'table', 64), ...stampOf(fields), origin: originOf(fields) };
    case 'value':
      return {
        kind: 'value',
        space: oneOf(fields, 'space', spaces),
        key: text(fields, 'key', 255),
        ...stampOf(fields),
        expiresAt,
        value: fields.value as Json | undefined,
      };
    case 'mark':
      if (expiresAt === undefined) throw wrong('expires', fields.expires, 'a time');
      return { kind: 'mark', protocol: text(fields, 'protocol', 64), mark: markOf(fields), expiresAt };
    default:
      throw wrong('kind', fields.kind, '"entry", "flush", "value" or "mark"');
  }
}

/** What a line may say; everything else in it is ignored. */
type Fields = {
  readonly [name in
    | 'postern'
    | 'format'
    | 'kind'
    | 'table'
    | 'prefix'
    | 'op'
    | 'not'
    | 'expires'
    | 'comment'
    | 'origin'
    | 'at'
    | 'node'
    | 'space'
    | 'key'
    | 'value'
    | 'protocol'
    | 'mark'
    | 'id']?: unknown;
};

function parseObject(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new PosternError('invalid', `${quoted(line)} is not JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PosternError('invalid', `${quoted(line)} is not a JSON object`);
  }
  return value as Fields;
}

function stampOf(fields: Fields): { at: Stamp; node: string } {
  const node = text(fields, 'node', 32);
  if (!/^[a-z0-9-]+$/.test(node)) throw wrong('node', node, 'a name of a-z, 0-9 and -');
  return { at: parseStamp(fields.at), node };
}

function originOf(fields: Fields): Origin {
  const origin = fields.origin;
  if (typeof origin !== 'object' || origin === null) throw wrong('origin', origin, 'an object with kind and id');
  return { kind: oneOf(origin as Fields, 'kind', originKinds), id: text(origin as Fields, 'id', 255) };
}

function markOf(fields: Fields): Uint8Array {
  const hex = text(fields, 'mark', markBytes * 2);
  const mark = Buffer.from(hex, 'hex');
  if (mark.length !== markBytes) throw wrong('mark', hex, `${markBytes} bytes in hex`);
  return mark;
}

function text(fields: Fields, name: keyof Fields, maxBytes: number): string {
  const value = fields[name];
  if (typeof value !== 'string' || Buffer.byteLength(value) > maxBytes || /[\p{Cc}\u2028\u2029]/u.test(value)) {
    throw wrong(name, value, `a string of at most ${maxBytes} bytes without control characters`);
  }
  return value;
}

function oneOf<T extends string>(fields: Fields, name: keyof Fields, words: readonly T[]): T {
  const value = fields[name];
  if (!words.includes(value as T)) throw wrong(name, value, words.join(', '));
  return value as T;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function parseTime(value: unknown, name: string): number {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (!(ms > 0 && ms <= maxTimeMs)) throw wrong(name, value, 'a time like "2026-11-22T06:50:00.000Z"');
  return ms;
}

/** `2026-11-22T06:50:00.123456Z` */
function isoStamp(at: Stamp): string {
  const micros = String(at % 1000).padStart(3, '0');
  return new Date(Math.floor(at / 1000)).toISOString().replace('Z', `${micros}Z`);
}

const stampPattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})(\d{3})Z$/;

function parseStamp(value: unknown): Stamp {
  const [, millis, micros] = stampPattern.exec(typeof value === 'string' ? value : '') ?? [];
  const ms = Date.parse(`${millis}Z`);
  if (Number.isNaN(ms)) throw wrong('at', value, 'a time like "2026-11-22T06:50:00.123456Z"');
  return ms * 1000 + Number(micros);
}

function wrong(name: string, value: unknown, wanted: string): PosternError {
  return new PosternError(
    'invalid',
    `"${name}" is ${value === undefined ? 'missing' : quoted(JSON.stringify(value))}; it should be ${wanted}`,
  );
}
