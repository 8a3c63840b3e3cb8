/** Looks at every line of the audit log, and changes nothing. */

import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { asPosternError } from '../errors.js';

export interface LogReport {
  readonly name: string;
  readonly bytes: number;
  readonly lines: number;
  /** Lines that a crash broke off while they were written; the daemon begins a new line behind such a one. */
  readonly torn: number;
  /** What is wrong, for people; empty when nothing is. */
  readonly troubles: readonly string[];
}

const pattern = /^audit\.jsonl(?:\.(\d+))?$/;

/** The oldest first. */
export async function* checkAuditLog(folder: string): AsyncGenerator<LogReport> {
  const names = readdirSync(folder).filter((name) => pattern.test(name));
  const age = (name: string) => Number(pattern.exec(name)?.[1] ?? 0);
  for (const name of names.sort((a, b) => age(b) - age(a))) yield await checkLog(folder, name);
}

async function checkLog(folder: string, name: string): Promise<LogReport> {
  let [lines, bytes, torn] = [0, 0, 0];
  try {
    for await (const line of createInterface({ input: createReadStream(join(folder, name)) })) {
      lines++;
      bytes += Buffer.byteLength(line) + 1;
      if (!isObject(line)) torn++;
    }
  } catch (error) {
    return { name, bytes, lines, torn, troubles: [`it can't be read: ${asPosternError(error).message}`] };
  }
  return { name, bytes, lines, torn, troubles: [] };
}

function isObject(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}
