/** Results of policy tests as TAP (version 13) and as JSON. */

import type { TestResult } from './run.js';

export interface FileResult {
  readonly file: string;
  readonly policy: string;
  readonly results: readonly TestResult[];
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly packets: number;
  readonly ms: number;
}

export function totalsOf(files: readonly FileResult[]): Totals {
  const all = files.flatMap(({ results }) => results);
  const count = (result: TestResult['result']): number => all.filter((one) => one.result === result).length;
  const sum = (value: (one: TestResult) => number): number => all.reduce((total, one) => total + value(one), 0);
  return {
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    packets: sum(({ packets }) => packets),
    ms: Math.round(sum(({ ms }) => ms)),
  };
}

/** TAP: every failure is a comment that begins with `file:line:column`, as compilers write it. */
export function tapText(files: readonly FileResult[]): string {
  const lines = ['TAP version 13'];
  let number = 0;
  for (const { file, results } of files) {
    for (const result of results) {
      number++;
      const title = `${number} - ${file}: ${result.name.replaceAll('#', '\\#')}`;
      const skip = result.result === 'skipped' ? ` # SKIP ${oneLine(result.reason ?? '')}` : '';
      lines.push(`${result.result === 'failed' ? 'not ok' : 'ok'} ${title}${skip}`);
      for (const { at, message } of result.failures)
        lines.push(`# ${at.file}:${at.line}:${at.column}: ${oneLine(message)}`);
      if (result.result === 'failed') lines.push(...result.notes.map((note) => `# note: ${oneLine(note)}`));
    }
  }
  const { passed, failed, skipped, packets, ms } = totalsOf(files);
  lines.push(`1..${number}`);
  lines.push(`# ${passed} passed, ${failed} failed, ${skipped} skipped; ${packets} packets in ${ms} ms`);
  return `${lines.join('\n')}\n`;
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ');

export function jsonReport(files: readonly FileResult[]): unknown {
  return { files, totals: totalsOf(files) };
}
