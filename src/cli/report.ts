/** How an error leaves a command: one line on standard error, or the JSON error. */

import { asPosternError, errorBody } from '../errors.js';
import type { Io } from './command.js';

/** Answers the exit status. */
export function report(thrown: unknown, io: Io, json: boolean): number {
  const error = asPosternError(thrown);
  if (json) io.err(`${JSON.stringify(errorBody(error))}\n`);
  else io.err(`postern: ${error.message}\n`);
  if (error.code === 'internal' && io.env.POSTERN_DEBUG !== undefined) io.err(`${stackOf(thrown)}\n`);
  return error.exitStatus;
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
