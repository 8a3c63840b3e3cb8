/** What is wrong with a policy, where, and what to do: as data, for people, and as JSON. */

import type { Position } from './ast.js';

export type Severity = 'error' | 'warning';

export interface Diagnostic {
  readonly severity: Severity;
  readonly at: Position;
  /** What is wrong, with the offending text. */
  readonly message: string;
  /** What to write instead. */
  readonly hint?: string;
}

/** More than this many are counted, but not kept. */
const mostKept = 200;

/** Collects what is found while a policy is read; bounded, so that a broken file of any size stays cheap. */
export class DiagnosticLog {
  readonly #kept: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  #dropped = 0;
  #errors = 0;

  error(at: Position, message: string, hint?: string): void {
    this.#errors++;
    this.#add({ severity: 'error', at, message, ...(hint === undefined ? {} : { hint }) });
  }

  warn(at: Position, message: string, hint?: string): void {
    this.#add({ severity: 'warning', at, message, ...(hint === undefined ? {} : { hint }) });
  }

  /** How many errors there were so far. */
  get errors(): number {
    return this.#errors;
  }

  /** In the order of the text; the last one says how many were dropped, if any. */
  list(): Diagnostic[] {
    const sorted = [...this.#kept].sort(inTextOrder);
    const last = sorted.at(-1);
    if (this.#dropped === 0 || last === undefined) return sorted;
    const severity = this.#errors > 0 ? 'error' : 'warning';
    const message = `${this.#dropped} more ${this.#dropped === 1 ? 'problem is' : 'problems are'} not shown`;
    return [...sorted, { severity, at: last.at, message }];
  }

  /** The same words about the same place are said once: a value read in two ways may complain twice. */
  #add(diagnostic: Diagnostic): void {
    const { at, message } = diagnostic;
    const key = `${at.file}\0${at.line}\0${at.column}\0${message}`;
    if (this.#seen.has(key)) return;
    if (this.#kept.length >= mostKept) {
      this.#dropped++;
      return;
    }
    this.#seen.add(key);
    this.#kept.push(diagnostic);
  }
}

function inTextOrder(a: Diagnostic, b: Diagnostic): number {
  if (a.at.file !== b.at.file) return a.at.file < b.at.file ? -1 : 1;
  return a.at.line - b.at.line || a.at.column - b.at.column;
}

/** Gives the text of a file that a diagnostic is about, if it is at hand. */
export type SourceOf = (file: string) => string | undefined;

/** For people: `file:line:column: error: message; hint`, then the line of the source with the place underlined. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], sourceOf: SourceOf): string {
  const linesOf = new Map<string, readonly string[]>();
  const sourceLine = ({ file, line }: Position) => {
    const lines = linesOf.get(file) ?? (sourceOf(file) ?? '').split(/\r?\n/);
    linesOf.set(file, lines);
    return lines[line - 1];
  };
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, sourceLine(diagnostic.at))).join('');
}

/** One diagnostic, without its source when that is not at hand; ends with a newline. */
export function formatDiagnostic(diagnostic: Diagnostic, sourceLine?: string): string {
  const { severity, at } = diagnostic;
  const head = `${formatPosition(at)}: ${severity}: ${diagnosticText(diagnostic)}\n`;
  return sourceLine === undefined ? head : head + excerpt(sourceLine, at);
}

/** `file:line:column`, as editors and terminals link it. */
export function formatPosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

/** Message and hint as one sentence. */
export function diagnosticText({ message, hint }: Diagnostic): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}

/** For programs: the shape that `--json` and the API give. */
export interface DiagnosticJson {
  readonly severity: Severity;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length?: number;
  readonly message: string;
  readonly hint?: string;
}

export function diagnosticJson({ severity, at, message, hint }: Diagnostic): DiagnosticJson {
  const { file, line, column, length } = at;
  return {
    severity,
    file,
    line,
    column,
    ...(length === undefined ? {} : { length }),
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

const shownColumns = 120;

/** The source line with carets below; of a long line the part around the place. */
function excerpt(sourceLine: string, { line, column, length = 1 }: Position): string {
  const from = column - 1 + length <= shownColumns ? 0 : Math.max(0, column - 1 - shownColumns / 4);
  const cut = (from > 0 ? '…' : '') + sourceLine.slice(from, from + shownColumns);
  const shown = cut.replace(/[\p{Cc}\p{Cf}]/gu, ' ') + (sourceLine.length > from + shownColumns ? '…' : '');
  const indent = column - 1 - from + (from > 0 ? 1 : 0);
  const carets = '^'.repeat(Math.max(1, Math.min(length, shown.length - indent)));
  const gutter = String(line).padStart(5);
  return `${gutter} | ${shown}\n${' '.repeat(gutter.length)} | ${' '.repeat(indent)}${carets}\n`;
}
