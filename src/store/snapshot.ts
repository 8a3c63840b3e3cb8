/** Writes the whole state as one file, in small steps beside the running changes. */

import { ByteWriter } from './byte-writer.js';
import type { Disk } from './disk.js';
import { fileHeader, type Head, writeFrame } from './frame.js';
import type { Register } from './register.js';

/** So many registers are encoded between two turns of the event loop, about a millisecond. */
const registersPerStep = 500;

/**
 * Writes `snapshot-N`, under another name until it is complete and durable. Returns its size in bytes.
 * @throws errors of the file system; nothing is left behind then.
 */
export async function writeSnapshot(
  disk: Disk,
  number: number,
  head: Head,
  registers: Iterable<Register>,
): Promise<number> {
  const draft = `${snapshotName(number)}.tmp`;
  disk.remove(draft);
  const file = await disk.create(draft, false);
  try {
    let bytes = 0;
    const append = async (out: ByteWriter) => {
      bytes += out.length;
      await file.append(out.view());
    };
    const first = new ByteWriter();
    first.raw(fileHeader('snapshot', number));
    writeFrame(first, { kind: 'head', head });
    await append(first);
    let count = 0;
    for (const part of steps(registers)) {
      const out = new ByteWriter(64 * 1024);
      writeFrame(out, { kind: 'change', registers: part });
      count += part.length;
      await append(out);
    }
    const last = new ByteWriter();
    writeFrame(last, { kind: 'end', registers: count });
    await append(last);
    await file.sync();
    await file.close();
    disk.rename(draft, snapshotName(number));
    disk.syncNames();
    return bytes;
  } catch (error) {
    await file.close().catch(() => {});
    disk.remove(draft);
    throw error;
  }
}

function* steps(registers: Iterable<Register>): Generator<Register[]> {
  let part: Register[] = [];
  for (const register of registers) {
    part.push(register);
    if (part.length < registersPerStep) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

export function snapshotName(number: number): string {
  return `snapshot-${String(number).padStart(8, '0')}`;
}
