/** The store of the state folder that a command's options name. */

import { join } from 'node:path';
import { PosternError } from '../../errors.js';
import type { Disk } from '../../store/disk.js';
import { defaultState } from '../defaults.js';

interface Places {
  readonly netns?: string;
  readonly state?: string;
}

/** The folder that a daemon of these places works on. */
export function stateFolder({ netns, state }: Places): string {
  return state ?? defaultState(netns);
}

/** @throws PosternError `not-found` when nothing was ever kept there, `system` when it can't be read. */
export async function storeDisk(places: Places): Promise<Disk> {
  const [{ nodeDisk }, { storeFiles }] = await Promise.all([
    import('../../store/disk.js'),
    import('../../store/load.js'),
  ]);
  const folder = stateFolder(places);
  const disk = nodeDisk(join(folder, 'store'));
  let files: readonly unknown[];
  try {
    files = storeFiles(disk);
  } catch (cause) {
    throw new PosternError('system', `${disk.path} can't be read: ${(cause as Error).message}`, { cause });
  }
  if (files.length === 0)
    throw new PosternError('not-found', `nothing is kept in ${folder}; name another one with --state`);
  return disk;
}
