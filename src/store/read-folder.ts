/** Reads the state directory without changing it, also beside a daemon that works on it. */

import type { Disk } from './disk.js';
import { type Loaded, load, storeFiles } from './load.js';
import { State } from './state.js';

export interface FolderState {
  readonly state: State;
  readonly loaded: Loaded;
}

/** The daemon may end files by a snapshot while they are read; then they are read anew. */
const attempts = 5;

/** @throws errors of the file system when the folder can't be read. */
export function readFolder(disk: Disk): FolderState {
  for (let attempt = 1; ; attempt++) {
    const before = storeFiles(disk).map(({ name }) => name);
    const state = new State();
    const loaded = load(disk, state, 0);
    const after = new Set(storeFiles(disk).map(({ name }) => name));
    if (before.every((name) => after.has(name)) || attempt === attempts) return { state, loaded };
  }
}
