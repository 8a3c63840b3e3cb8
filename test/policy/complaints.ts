/** What a policy is told, line by line: `line:column message; hint`, warnings marked. */

import { diagnosticText } from '../../src/policy/diagnostics.js';
import { type ParseOptions, parsePolicy } from '../../src/policy/parse.js';

export function complaints(text: string, options: Partial<ParseOptions> = {}): string[] {
  return parsePolicy(text, { file: 'p.yaml', ...options }).diagnostics.map((diagnostic) => {
    const { at, severity } = diagnostic;
    const file = at.file === 'p.yaml' ? '' : `${at.file}:`;
    const mark = severity === 'warning' ? 'warning: ' : '';
    return `${file}${at.line}:${at.column} ${mark}${diagnosticText(diagnostic)}`;
  });
}

/** One rule in a chain `input`: it begins at 4:7. */
export function inInput(rule: string): string[] {
  return complaints(`chains:\n  input:\n    rules:\n    - ${rule}\n`);
}

/** One rule in `nat:`: it begins at 2:3. */
export function inNat(rule: string): string[] {
  return complaints(`nat:\n- ${rule}\n`);
}

/** A row of a table of complaints. */
export type Row = readonly [sentence: string, text: string, ...complaints: readonly string[]];
