/** Looks at every file of a store, frame by frame, and changes nothing. */

import { asPosternError } from '../errors.js';
import type { Disk, ReadFile } from './disk.js';
import { storeFiles } from './load.js';
import { currentFormat } from './register-codec.js';
import { describeDamage, FileScan } from './scan.js';

export interface FileReport {
  readonly name: string;
  readonly bytes: number;
  readonly format: number | undefined;
  readonly frames: number;
  readonly registers: number;
  /** What is wrong, for people; empty when nothing is. */
  readonly troubles: readonly string[];
  /** A newer version wrote it: this one leaves it as it is and begins with an empty store. */
  readonly newer: boolean;
  /** The end of the last journal is being written, or was when a crash came: nothing is lost by it. */
  readonly unfinished: boolean;
}

export function* checkFolder(disk: Disk): Generator<FileReport> {
  const files = storeFiles(disk);
  for (const { name } of files) {
    let content: ReadFile;
    try {
      content = disk.read(name);
    } catch (error) {
      const troubles = [`it can't be read: ${asPosternError(error).message}`];
      yield { ...nothingRead(name), troubles };
      continue;
    }
    try {
      yield checkFile(name, content, name === files.at(-1)!.name);
    } finally {
      content.close();
    }
  }
}

function checkFile(name: string, content: ReadFile, isLast: boolean): FileReport {
  const scan = new FileScan(content);
  const { header } = scan;
  const report = { ...nothingRead(name), bytes: content.size, format: header?.format };
  if (header !== undefined && header.format > currentFormat) {
    const troubles = [`its format is ${header.format}, and this version knows formats up to ${currentFormat}`];
    return { ...report, newer: true, troubles };
  }
  let complete = header?.kind !== 'snapshot';
  for (const frame of scan.frames()) {
    report.frames++;
    if (frame.kind === 'change' || frame.kind === 'part') report.registers += frame.registers.length;
    if (frame.kind === 'end') complete = true;
  }
  const damage = scan.damage.filter(({ atEnd }) => !(atEnd && isLast));
  const troubles = [...damage.map(describeDamage), ...(complete ? [] : ['it ends before its last record'])];
  return { ...report, troubles, unfinished: damage.length < scan.damage.length };
}

const nothingRead = (name: string) => ({
  name,
  bytes: 0,
  format: undefined as number | undefined,
  frames: 0,
  registers: 0,
  troubles: [] as readonly string[],
  newer: false,
  unfinished: false,
});
