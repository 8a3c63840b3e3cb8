/** Which names things of a policy may have. */

import { invalid } from './text.js';

/** Bytes that a name may have; the shortest bound of whoever has to carry it. */
const longest = {
  /** pf's tables and pftabled's datagram carry 31 bytes and a NUL. */
  table: 31,
  /** As `iptaccount` prints and takes it. */
  account: 31,
  chain: 63,
  interface: 31,
  macro: 63,
  quota: 31,
  condition: 31,
  knock: 31,
  /** What a section of an extension declares. */
  entry: 31,
  rule: 63,
} as const;

export type NameKind = keyof typeof longest;

const withArticle = (kind: NameKind): string => `${/^[aei]/.test(kind) ? 'an' : 'a'} ${kind}`;

const form = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/**
 * Accepts letters, digits, `_`, `.` and `-`, a letter or `_` first.
 * @returns the name itself.
 * @throws PosternError `invalid`.
 */
export function parseName(kind: NameKind, text: string): string {
  if (!form.test(text)) {
    throw invalid(
      text,
      `can't name ${withArticle(kind)}; take letters, digits, "_", "." and "-", and begin with a letter or "_"`,
    );
  }
  if (text.length > longest[kind]) {
    throw invalid(text, `is too long for the name of ${withArticle(kind)}; ${longest[kind]} characters are the most`);
  }
  return text;
}

/** IFNAMSIZ of the kernel without its NUL. */
const deviceBytes = 15;

/**
 * Accepts what the kernel takes as a device name (dev_valid_name in net/core/dev.c), with `*` at the end for any that
 * begins so.
 * @returns the name itself.
 * @throws PosternError `invalid`.
 */
export function parseDevice(text: string): string {
  const stem = text.endsWith('*') ? text.slice(0, -1) : text;
  if (stem === '' || stem === '.' || stem === '..' || !/^[^\s/:*"\0]+$/.test(stem)) {
    throw invalid(text, 'is not a device name; write it as eth0, or ppp* for all that begin so');
  }
  if (Buffer.byteLength(stem) > deviceBytes)
    throw invalid(text, `is longer than the ${deviceBytes} bytes of a device name`);
  return text;
}
