/** Table entries between JSON and the engine. */

import type { Static } from 'typebox';
import type { Entry, EntryView } from '../engine/tables.js';
import { formatDuration, parseDuration } from '../net/duration.js';
import { formatPrefix, parsePrefix } from '../net/prefix.js';
import type { EntryInput, EntryOutput } from './schemas.js';

/** @throws PosternError `invalid`. */
export function entryOf({ address, not, timeout, comment }: Static<typeof EntryInput>): Entry {
  return {
    prefix: parsePrefix(address),
    ...(not === true && { not }),
    ...(timeout !== undefined && { timeoutMs: timeout === 'never' ? 0 : parseDuration(timeout) }),
    ...(comment !== undefined && { comment }),
  };
}

export function entryOutput(entry: EntryView): Static<typeof EntryOutput> {
  return {
    address: formatPrefix(entry.prefix),
    ...(entry.not === true && { not: true }),
    ...(entry.timeoutMs !== undefined && {
      timeout: entry.timeoutMs === 0 ? 'never' : formatDuration(entry.timeoutMs),
    }),
    ...(entry.expiresAt !== undefined && { expiresAt: new Date(entry.expiresAt).toISOString() }),
    ...(entry.comment !== undefined && { comment: entry.comment }),
    source: entry.source,
    addedAt: new Date(entry.addedAt).toISOString(),
    ...(entry.packets !== undefined && { packets: entry.packets }),
    ...(entry.bytes !== undefined && { bytes: entry.bytes }),
  };
}
