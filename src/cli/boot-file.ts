/** What `postern snapshot` writes: made from what a daemon keeps, beside it or without it. */

import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bootScript } from '../engine/boot-script.js';
import { systemClock } from '../engine/clock.js';
import { Gate } from '../engine/gate.js';
import { InterfaceSets } from '../engine/interface-sets.js';
import { type EngineState, stateFile } from '../engine/state-file.js';
import { PosternError } from '../errors.js';
import { openLinks } from '../kernel/links.js';
import { enterNamespace } from '../kernel/netns.js';
import { openNft } from '../kernel/nft.js';
import { textOf } from '../nft/render.js';
import { nodeDisk } from '../store/disk.js';
import { readFolder } from '../store/read-folder.js';
import { replaceFile } from '../store/replace-file.js';
import type { LiveEntry } from '../store/store.js';
import { compileText } from './policy-file.js';

export interface BootText {
  /** For `nft -f`. */
  readonly text: string;
  /** For `ipset restore`; undefined when no table is an ipset. */
  readonly ipsets: string | undefined;
  /** Entries that didn't come from the policy. */
  readonly entries: number;
  /** The policy's file. */
  readonly policy: string;
}

interface Wanted {
  /** The state folder. */
  readonly folder: string;
  readonly minLeftMs: number;
  readonly netns: string | undefined;
}

/**
 * The text, which the kernel has checked.
 * @throws PosternError `not-found` when no policy was applied or confirmed, `policy` when it can't be compiled any more, `kernel`.
 */
export async function bootText({ folder, minLeftMs, netns }: Wanted): Promise<BootText> {
  const kept = await stateFile(folder).read();
  const source = kept?.trialOver === undefined ? kept?.source : kept.trialOver;
  if (kept === undefined || source === undefined || source === null) {
    throw new PosternError(
      'not-found',
      `no policy in ${folder} was applied for good; apply one, or name another --state`,
    );
  }
  if (netns !== undefined) enterNamespace(netns);
  const { plan } = compileText(source, kept.manifest);
  const { lines, ipsets, entries } = await bootScript({
    plan,
    tables: kept.trialOver === undefined ? kept.tables : plan.tables,
    stored: storedEntries(folder),
    others: await interfaceContents(plan.manifest),
    minLeftMs,
    clock: systemClock,
  });
  await openNft().check(lines);
  const heading = `# ${source.file} as of ${new Date().toISOString()}: postern snapshot\n`;
  const note = '# Its tables with backend ipset are in the .ipset file beside it: ipset restore -file FILE\n';
  return {
    text: heading + (ipsets === undefined ? '' : note) + textOf(lines),
    ipsets: ipsets === undefined ? undefined : heading + ipsets,
    entries,
    policy: source.file,
  };
}

function storedEntries(folder: string): (table: string) => Iterable<LiveEntry> {
  const { state } = readFolder(nodeDisk(join(folder, 'store')));
  const now = Date.now();
  return function* (table) {
    for (const entry of state.table(table)?.registers() ?? []) {
      if (entry.op === 'add' && (entry.expiresAt ?? Number.POSITIVE_INFINITY) > now) yield entry as LiveEntry;
    }
  };
}

/** The addresses that interfaces have at this moment. */
async function interfaceContents(manifest: EngineState['manifest']) {
  const nothing = { tables: new Set<string>(), chains: new Map(), sets: new Map(), objects: new Map() };
  const sets = new InterfaceSets({
    kernel: { dump: async () => [] },
    committer: { commit: async () => {}, request: () => ({ commit: async () => {}, done: async () => {} }) },
    gate: new Gate(),
    openLinks: (changed) => openLinks({ changed }),
    trouble: (error) => {
      throw error;
    },
  });
  await sets.start();
  try {
    return sets.contents(manifest, nothing);
  } finally {
    await sets.stop();
  }
}

/** Where the ipsets of a boot file are: `boot.ipset` beside `boot.nft`. */
export function ipsetPath(path: string): string {
  return `${path.replace(/\.nft$/, '')}.ipset`;
}

/** Writes both, each the old one or the new one and never a part; an old file of ipsets that are no more goes. */
export async function writeBootFiles(path: string, { text, ipsets }: Pick<BootText, 'text' | 'ipsets'>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if (ipsets === undefined) await rm(ipsetPath(path), { force: true });
  else await replaceFile(ipsetPath(path), ipsets);
  await replaceFile(path, text);
}
