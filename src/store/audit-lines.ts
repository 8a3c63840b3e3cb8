/** What the audit log says of a change: who, from where, what, and what became of it. */

import { asPosternError } from '../errors.js';
import { formatPrefix } from '../net/prefix.js';
import { jsonLine } from './json-line.js';
import type { Json, Origin } from './register.js';
import type { Draft } from './store.js';

/** So many prefixes stand in one line; a larger change has several lines. */
const prefixesPerLine = 100;

/** Something that was done to the daemon, other than a change of entries: a policy applied, a state imported. */
export interface AuditEvent {
  readonly who: Origin | { readonly kind: 'sysrq'; readonly id: string };
  readonly op: string;
  readonly detail?: Json;
}

/** @param error why nothing was changed; absent: it was done */
export function eventLine({ who, op, detail }: AuditEvent, wallMs: number, error?: unknown): string {
  return jsonLine({ at: isoTime(wallMs), who: whoOf(who), op, detail, ...resultOf(error) });
}

/** The lines of one change. Values without an origin are bookkeeping. */
export function changeLines(drafts: readonly Draft[], wallMs: number, error?: unknown): string[] {
  const at = isoTime(wallMs);
  const result = jsonLine(resultOf(error)).slice(1);
  const lines: string[] = [];
  for (const draft of drafts) {
    if (draft.origin === undefined) continue;
    const { kind, id } = draft.origin;
    const head = `{"at":"${at}","who":{"kind":"${kind}","id":${json(id)}}`;
    for (const what of whatOf(draft)) lines.push(`${head},${what},${result}`);
  }
  return lines;
}

/** Members of the object of each line. By hand, because this is done for every change and the texts are mostly the same. */
function whatOf(draft: Draft): readonly string[] {
  if (draft.kind === 'entry') return entryLines(draft);
  if (draft.kind === 'flush') return [`"op":"flush","table":${json(draft.table)}`];
  const { space, key, value, expiresAt } = draft;
  const op = value === undefined ? 'unset' : 'set';
  return [jsonLine({ op, space, key, value, expires: isoTime(expiresAt) }).slice(1, -1)];
}

function entryLines(draft: Draft & { readonly kind: 'entry' }): readonly string[] {
  const { op, table, prefixes } = draft;
  const terms = op === 'add' ? termsOf(draft) : '';
  const lines: string[] = [];
  for (let from = 0; from < prefixes.length; from += prefixesPerLine) {
    const some = prefixes.slice(from, from + prefixesPerLine).map((prefix) => `"${formatPrefix(prefix)}"`);
    lines.push(`"op":"${op}","table":${json(table)},"prefixes":[${some.join()}]${terms}`);
  }
  return lines;
}

function termsOf({ not, expiresAt, comment }: Draft & { readonly kind: 'entry'; readonly op: 'add' }): string {
  const expires = expiresAt === undefined ? '' : `,"expires":"${isoTime(expiresAt)}"`;
  return `${not ? ',"not":true' : ''}${expires}${comment === undefined ? '' : `,"comment":${json(comment)}`}`;
}

/** Texts as JSON, those that came lately. */
const quoted = new Map<string, string>();
const maxQuoted = 1_000;

function json(text: string): string {
  const known = quoted.get(text);
  if (known !== undefined) return known;
  if (quoted.size >= maxQuoted) quoted.clear();
  const line = jsonLine(text);
  quoted.set(text, line);
  return line;
}

function whoOf({ kind, id }: AuditEvent['who']): AuditEvent['who'] {
  return { kind, id };
}

function resultOf(error: unknown): { readonly result: string; readonly error?: string } {
  if (error === undefined) return { result: 'done' };
  const { code, message } = asPosternError(error);
  return { result: code, error: message };
}

function isoTime(ms: number): string;
function isoTime(ms: number | undefined): string | undefined;
function isoTime(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  const known = written.get(ms);
  if (known !== undefined) return known;
  if (written.size >= maxWritten) written.clear();
  const text = new Date(ms).toISOString();
  written.set(ms, text);
  return text;
}

/** Many changes fall into one millisecond. */
const written = new Map<number, string>();
const maxWritten = 16;
