/** How errors and warnings leave a command. */

import { readFileSync } from 'node:fs';
import { asPosternError, errorBody, type PosternError } from '../errors.js';
import type { Diagnostic, DiagnosticJson } from '../policy/diagnostics.js';
import type { Io } from './command.js';

/** One line on standard error, or the JSON error; errors of a policy with their lines. Answers the exit status. */
export async function report(thrown: unknown, io: Io, json: boolean): Promise<number> {
  const error = asPosternError(thrown);
  if (json) io.err(`${JSON.stringify(errorBody(error))}\n`);
  else io.err(`${await diagnosticLines(error)}postern: ${error.message}\n`);
  if (error.code === 'internal' && io.env.POSTERN_DEBUG !== undefined) io.err(`${stackOf(thrown)}\n`);
  return error.exitStatus;
}

/** The error as lines for a log. */
export async function messageLines(thrown: unknown): Promise<string[]> {
  const { code, message, details } = asPosternError(thrown);
  if (code !== 'policy' || !Array.isArray(details)) return [message];
  const { formatDiagnostic } = await import('../policy/diagnostics.js');
  const lines = (details as DiagnosticJson[]).map((one) => formatDiagnostic(diagnosticOf(one)).trimEnd());
  return [...lines, message];
}

async function diagnosticLines({ code, details }: PosternError): Promise<string> {
  if (code !== 'policy' || !Array.isArray(details)) return '';
  const { formatDiagnostics } = await import('../policy/diagnostics.js');
  return formatDiagnostics((details as DiagnosticJson[]).map(diagnosticOf), sourceOf);
}

function diagnosticOf({ severity, message, hint, ...at }: DiagnosticJson): Diagnostic {
  return { severity, at, message, ...(hint !== undefined && { hint }) };
}

/** The daemon's files may not be ours to read: then the line stays out. */
function sourceOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

interface Warning {
  readonly at: { readonly file: string; readonly line: number; readonly column: number };
  readonly message: string;
}

/** One line each, as compilers write them. */
export function warningsText(warnings: readonly Warning[]): string {
  return warnings.map(({ at, message }) => `${at.file}:${at.line}:${at.column}: warning: ${message}\n`).join('');
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
