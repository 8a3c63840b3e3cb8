/** The entry point: policy text in, typed policy and diagnostics out. */

import type { Policy } from './ast.js';
import type { Diagnostic } from './diagnostics.js';
import type { Vocabulary } from './vocabulary.js';

export interface ParseOptions {
  /** Name of the file, for positions. */
  readonly file: string;
  /** What extensions add; the core's words alone when absent. */
  readonly vocabulary?: Vocabulary;
  /** Text of a list file named by `file:` of a table, or undefined when it can't be read. Without it lists stay unread. */
  readonly readList?: (path: string) => string | undefined;
  /** Number of a user or group, or undefined when there is none. Without it only numbers are understood. */
  readonly resolveOwner?: (kind: 'user' | 'group', name: string) => number | undefined;
}

export interface ParseResult {
  /** Absent when there is an error among the diagnostics. */
  readonly policy?: Policy;
  /** In the order of the text: all errors and warnings of the file. */
  readonly diagnostics: readonly Diagnostic[];
}

/** `parsePolicy`: never throws on a text, however broken. */
export type ParsePolicy = (text: string, options: ParseOptions) => ParseResult;
