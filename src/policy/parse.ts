/** The entry point: policy text in, typed policy and diagnostics out. */

import type { Policy } from './ast.js';
import { PolicyBuilder } from './builder.js';
import { type Diagnostic, DiagnosticLog } from './diagnostics.js';
import { Macros } from './macros.js';
import { type Entry, kindName } from './node.js';
import type { ReadList } from './sections/tables.js';
import { noWords, type Vocabulary } from './vocabulary.js';
import { readYaml } from './yaml.js';

export interface ParseOptions {
  /** Name of the file, for positions. */
  readonly file: string;
  /** What extensions add; the core's words alone when absent. */
  readonly vocabulary?: Vocabulary;
  /** Text of a list file named by `file:` of a table, or undefined when it can't be read. Without it lists stay unread. */
  readonly readList?: ReadList;
  /** Number of a user or group, or undefined when there is none. Without it only numbers are understood. */
  readonly resolveOwner?: (kind: 'user' | 'group', name: string) => number | undefined;
}

export interface ParseResult {
  /** Absent when there is an error among the diagnostics. */
  readonly policy?: Policy;
  /** In the order of the text: all errors and warnings of the file. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads a policy. Never throws on a text, however broken: what is wrong is in the diagnostics. */
export function parsePolicy(text: string, options: ParseOptions): ParseResult {
  const log = new DiagnosticLog();
  const sections = readSections(text, options.file, log);
  const { vocabulary = noWords, ...edges } = options;
  const policy = sections && new PolicyBuilder(sections, vocabulary, edges, log).build();
  const diagnostics = log.list();
  return log.errors > 0 || policy === undefined ? { diagnostics } : { policy, diagnostics };
}

/** The keys at the top, macros replaced. */
function readSections(text: string, file: string, log: DiagnosticLog): ReadonlyMap<string, Entry> | undefined {
  const root = readYaml(text, file, log);
  if (root === undefined || root.kind === 'nothing') {
    if (log.errors === 0) log.error({ file, line: 1, column: 1 }, 'the policy is empty', 'begin with "chains:"');
    return undefined;
  }
  if (root.kind !== 'map') {
    log.error(root.at, `a policy is a map of sections, not ${kindName(root)}`, 'begin with "chains:"');
    return undefined;
  }
  const macros = new Macros(log);
  const defined = root.entries.find(({ key }) => key.value === 'macros');
  if (defined !== undefined) macros.define(defined.value);
  const others = root.entries.filter((entry) => entry !== defined);
  return new Map(others.map(({ key, value }) => [key.value, { key, value: macros.expand(value) }]));
}
