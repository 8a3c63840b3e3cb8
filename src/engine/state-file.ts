/** What a restart has to know: what was loaded, and whether it was on trial. One small file, replaced whole. */

import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ManifestIpset, PlanTable } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { formatRange, parseRange } from '../net/prefix.js';
import { replaceFile } from '../store/replace-file.js';
import type { Inventory } from './inventory.js';
import type { PolicyText } from './policy-control.js';

export interface EngineState {
  readonly manifest: Manifest;
  readonly inventory: Inventory;
  /** With their entries, to tell those of the policy from those that were added. */
  readonly tables: readonly PlanTable[];
  readonly source: PolicyText;
  /** The policy is on trial; this one was in force before. Null: there was none. */
  readonly trialOver?: PolicyText | null;
}

export interface StateFile {
  /** Undefined when nothing was kept. @throws PosternError `damaged` (the file is then set aside), `forbidden`, `system`. */
  read(): Promise<EngineState | undefined>;
  /** On disk when it resolves. @throws PosternError `forbidden`, `system`. */
  write(state: EngineState): Promise<void>;
}

export const stateFileName = 'engine.json';
const format = 1;

/** Keeps the state in a folder, which is made when it isn't there. */
export function stateFile(folder: string): StateFile {
  const path = join(folder, stateFileName);
  return {
    async read() {
      const text = await textOf(path);
      if (text === undefined) return undefined;
      try {
        return fromJson(JSON.parse(text));
      } catch (error) {
        const aside = await rename(path, `${path}.damaged`).then(
          () => `was set aside as ${stateFileName}.damaged`,
          (cause: Error) => `can't be set aside: ${cause.message}`,
        );
        throw new PosternError('damaged', `${path} is damaged and ${aside}; the kernel is taken as it is`, {
          cause: error,
        });
      }
    },
    async write(state) {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await replaceFile(path, JSON.stringify(toJson(state)));
      } catch (error) {
        throw unusable(path, error);
      }
    },
  };
}

/**
 * Whether the file in the folder can be used, without touching it: its size, and what is wrong, for people. Undefined
 * when there is none.
 * @throws PosternError `forbidden` or `system` when it can't be read.
 */
export async function checkStateFile(
  folder: string,
): Promise<{ readonly bytes: number; readonly trouble?: string } | undefined> {
  const text = await textOf(join(folder, stateFileName));
  if (text === undefined) return undefined;
  const bytes = Buffer.byteLength(text);
  try {
    fromJson(JSON.parse(text));
    return { bytes };
  } catch (error) {
    return { bytes, trouble: (error as Error).message };
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, error);
  }
}

/**
 * The same, but what can't be written is told and no reason to stop: rules in the kernel matter more than what the next
 * start knows of them.
 * @param trouble is told of the first failure of a row
 */
export function bestEffort(file: StateFile, trouble: (error: unknown) => void): StateFile {
  let failing = false;
  return {
    read: () => file.read(),
    async write(state) {
      try {
        await file.write(state);
        failing = false;
      } catch (error) {
        if (!failing) trouble(error);
        failing = true;
      }
    },
  };
}

/** Keeps the state as long as the process lives. */
export function memoryState(): StateFile {
  let kept: EngineState | undefined;
  return {
    read: async () => kept,
    write: async (state) => {
      kept = state;
    },
  };
}

function unusable(path: string, cause: unknown): PosternError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    const message = `may not use ${path}: run this as root, or name with --state a folder that is yours`;
    return new PosternError('forbidden', message, { cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PosternError('system', `${path} can't be used: ${reason}; check the folder given by --state`, { cause });
}

interface TableJson extends Omit<PlanTable, 'entries'> {
  /** `file`, then its entries; `!` in front of an exception. */
  readonly entries: readonly { readonly file: string; readonly members: readonly string[] }[];
}

/** With its range as text. */
type IpsetJson = Omit<ManifestIpset, 'range'> & { readonly range?: string };
type ManifestJson = Omit<Manifest, 'ipsets'> & { readonly ipsets?: readonly IpsetJson[] };

interface StateJson extends Omit<EngineState, 'tables' | 'manifest'> {
  readonly format: typeof format;
  readonly manifest: ManifestJson;
  readonly tables: readonly TableJson[];
}

function toJson(state: EngineState): StateJson {
  return { format, ...state, manifest: manifestToJson(state.manifest), tables: state.tables.map(tableToJson) };
}

function manifestToJson({ ipsets, ...manifest }: Manifest): ManifestJson {
  if (ipsets === undefined) return manifest;
  const withText = ({ range, ...ipset }: ManifestIpset): IpsetJson =>
    range === undefined ? ipset : { ...ipset, range: formatRange(range) };
  return { ...manifest, ipsets: ipsets.map(withText) };
}

function manifestFromJson({ ipsets, ...manifest }: ManifestJson): Manifest {
  if (ipsets === undefined) return manifest;
  const withRange = ({ range, ...ipset }: IpsetJson): ManifestIpset =>
    range === undefined ? ipset : { ...ipset, range: parseRange(range) };
  return { ...manifest, ipsets: ipsets.map(withRange) };
}

function tableToJson(table: PlanTable): TableJson {
  const files = new Map<string, string[]>();
  for (const { range, not, origin } of table.entries) {
    const members = files.get(origin.file) ?? [];
    files.set(origin.file, members);
    members.push(`${not ? '!' : ''}${formatRange(range)}`);
  }
  return { ...table, entries: Array.from(files, ([file, members]) => ({ file, members })) };
}

function fromJson(json: StateJson): EngineState {
  if (json.format !== format) throw new PosternError('damaged', `format ${json.format} is not known`);
  const { format: _, ...state } = json;
  return { ...state, manifest: manifestFromJson(json.manifest), tables: json.tables.map(tableFromJson) };
}

function tableFromJson(json: TableJson): PlanTable {
  const entries = json.entries.flatMap(({ file, members }) =>
    members.map((member) => {
      const not = member.startsWith('!');
      return { range: parseRange(not ? member.slice(1) : member), not, origin: { file, line: 0, column: 0 } };
    }),
  );
  return { ...json, entries };
}
