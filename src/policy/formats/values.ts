/** Single values that stand for themselves: times, sizes, rates, marks, paths. */

import { formatDuration, parseDuration } from '../../net/duration.js';
import { parseRate, type Rate } from '../../net/rate.js';
import { parseSize } from '../../net/size.js';
import { Misread } from '../scope.js';
import type { Format } from '../types.js';

/** Milliseconds. */
export const duration: Format<number> = {
  name: 'duration',
  label: 'TIME',
  description: 'A time: 300ms, 10s, 5m, 12h, 1d, 1h30m.',
  json: { type: 'string', pattern: '^([0-9]+(ms|[wdhms]))+$' },
  parse: (text) => parseDuration(text.value),
};

/** Nothing that Postern keeps lasts longer. */
const longestTimeoutMs = 10 * 365 * 86_400_000;

/** A duration that a set element can have. Milliseconds. */
export const timeout: Format<number> = {
  ...duration,
  name: 'timeout',
  description: 'How long an entry stays: 10s, 5m, 12h, 1d, at most ten years.',
  parse: (text) => {
    const timeMs = parseDuration(text.value);
    if (timeMs < 1 || timeMs > longestTimeoutMs) {
      throw new Misread(`"${text.value}" is no timeout`, `it goes from 1ms to ${formatDuration(longestTimeoutMs)}`);
    }
    return timeMs;
  },
};

/** Bytes. */
export const byteSize: Format<number> = {
  name: 'size',
  label: 'SIZE',
  description: 'A number of bytes: 1024, 500MB, 10GiB.',
  json: {
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: '^[0-9]+[A-Za-z]*$' },
    ],
  },
  parse: (text) => parseSize(text.value),
};

export const rate: Format<Rate> = {
  name: 'rate',
  label: 'RATE',
  description: 'So many packets, or so many bytes, in a time: 15/5s, 10MB/1s.',
  json: { type: 'string', pattern: '^[0-9]+[A-Za-z]*/[0-9A-Za-z]+$' },
  parse: (text) => parseRate(text.value),
};

export interface Mark {
  readonly value: number;
  readonly mask: number;
}

const mostInMark = 0xffff_ffff;

/** A mark of 32 bits; only the bits of the mask count. */
export const mark: Format<Mark> = {
  name: 'mark',
  label: 'MARK',
  description: 'A mark of 32 bits, if wanted with the mask of the bits that count: 0x10, 16, 0x10/0xff.',
  json: {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: mostInMark },
      { type: 'string', pattern: '^(0x[0-9a-fA-F]+|[0-9]+)(/(0x[0-9a-fA-F]+|[0-9]+))?$' },
    ],
  },
  parse: (text) => {
    const [, value, mask] = /^(0x[0-9a-f]+|[0-9]+)(?:\/(0x[0-9a-f]+|[0-9]+))?$/i.exec(text.value) ?? [];
    if (value === undefined) throw new Misread(`"${text.value}" is not a mark`, 'write it as 0x10 or 0x10/0xff');
    const parsed = { value: Number(value), mask: mask === undefined ? mostInMark : Number(mask) };
    if (parsed.value > mostInMark || parsed.mask > mostInMark) {
      throw new Misread(`"${text.value}" has more than 32 bits`);
    }
    if ((parsed.value & ~parsed.mask) !== 0) {
      throw new Misread(`"${text.value}" has bits outside its mask, so that no packet has this mark`);
    }
    return parsed;
  },
};

/** 32 bits of a mark. */
export const markBits: Format<number> = {
  name: 'mark-bits',
  label: 'BITS',
  description: 'Up to 32 bits: 0xff, 255.',
  json: {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: mostInMark },
      { type: 'string', pattern: '^(0x[0-9a-fA-F]+|[0-9]+)$' },
    ],
  },
  parse: ({ value }) => {
    if (!/^(0x[0-9a-f]+|[0-9]+)$/i.test(value)) throw new Misread(`"${value}" is no number`, 'write it as 0xff or 255');
    if (Number(value) > mostInMark) throw new Misread(`"${value}" has more than 32 bits`);
    return Number(value);
  },
};

const mostParts = 1_000_000;

/** A share, in millionths. */
export const percentage: Format<number> = {
  name: 'percentage',
  label: 'PERCENT',
  description: 'A share from 0% to 100%, with up to four decimals: 1%, 1.01%.',
  json: { type: 'string', pattern: '^[0-9]{1,3}(\\.[0-9]{1,4})?%$' },
  parse: ({ value }) => {
    const [, number] = /^([0-9]{1,3}(?:\.[0-9]{1,4})?)%$/.exec(value) ?? [];
    if (number === undefined) throw new Misread(`"${value}" is no percentage`, 'write it as 1% or 1.01%');
    const parts = Math.round(Number(number) * (mostParts / 100));
    if (parts > mostParts) throw new Misread(`"${value}" is more than everything`);
    return parts;
  },
};

/** A file's name; secrets and lists are files. */
export const path: Format<string> = {
  name: 'path',
  label: 'PATH',
  description: 'A file; a relative path begins at the folder of the policy.',
  json: { type: 'string', pattern: '^[^\\u0000]+$', maxLength: 4095 },
  parse: ({ value }) => {
    if (value === '' || value.includes('\0') || Buffer.byteLength(value) > 4095) {
      throw new Misread(`"${value.slice(0, 40)}" can't be a path`, 'it has 1 to 4095 bytes');
    }
    return value;
  },
};

/** The key alone says it all; its value is `true`. */
export const present: Format<true> = {
  name: 'present',
  label: 'true',
  description: 'true; leave the key out otherwise.',
  json: { const: true },
  parse: ({ value }) => {
    if (['true', 'on', 'yes'].includes(value)) return true;
    throw new Misread(`"${value}" is not true`, 'leave the key out if it is not wanted');
  },
};
