/** Policy files and what stands around them on this machine: lists beside them, users and groups. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { compilePolicy } from '../compiler/compile.js';
import type { Manifest, Note } from '../compiler/plan.js';
import type { CompiledPolicy, PolicyText } from '../engine/policy-control.js';
import { PosternError } from '../errors.js';
import { vocabulary } from '../extensions/registry.js';
import type { Policy, SectionEntry } from '../policy/ast.js';
import { type Diagnostic, diagnosticJson, diagnosticText } from '../policy/diagnostics.js';
import { parsePolicy } from '../policy/parse.js';
import { countrySizes } from '../services/geoip/source.js';
import { counted } from './text.js';

/** A list of a million addresses has some 16 MB. */
const maxFileBytes = 64 * 1024 * 1024;

/** @param path is how the file is called in messages. @throws PosternError `system`. */
export function readPolicyFile(path: string): PolicyText {
  try {
    return { file: path, text: readBounded(path) };
  } catch (cause) {
    throw new PosternError('system', `can't read the policy: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Text to plan. Lists are read from where the policy is.
 * @param previous what is in force; what it gave out is given out again
 * @throws PosternError `policy`; its details are the diagnostics as JSON.
 */
export function compileText(source: PolicyText, previous?: Manifest): CompiledPolicy {
  const { file, text } = source;
  const folder = dirname(resolve(file));
  const read = parsePolicy(text, {
    file,
    vocabulary,
    readList: (path) => readList(resolve(folder, path)),
    resolveOwner: ownerNumber,
  });
  if (read.policy === undefined) throw refusal(file, read.diagnostics);
  const { plan, diagnostics } = compilePolicy(read.policy, {
    countries: countrySizes,
    ...(previous !== undefined && { previous }),
  });
  if (plan === undefined) throw refusal(file, [...read.diagnostics, ...diagnostics]);
  return {
    source,
    policy: withAbsoluteFiles(read.policy, folder),
    plan: { ...plan, warnings: [...read.diagnostics.map(noteOf), ...plan.warnings] },
  };
}

/** Files that a policy names stand beside it, wherever the daemon was started. */
function withAbsoluteFiles(policy: Policy, folder: string): Policy {
  const { pftabled, api } = policy;
  const at = (path: string) => resolve(folder, path);
  return {
    ...policy,
    sections: new Map([...policy.sections].map(([name, entries]) => [name, withFiles(entries, at)])),
    ...(pftabled?.keyFile !== undefined && { pftabled: { ...pftabled, keyFile: at(pftabled.keyFile) } }),
    ...(api !== undefined && {
      api: {
        ...api,
        listen: api.listen.map((one) => (one.tokenFile === undefined ? one : { ...one, tokenFile: at(one.tokenFile) })),
      },
    }),
  };
}

/** Extensions name files as `{ file: PATH }`. */
function withFiles(entries: ReadonlyMap<string, SectionEntry>, at: (path: string) => string) {
  return new Map([...entries].map(([name, entry]) => [name, { ...entry, spec: filesOf(entry.spec, at) }]));
}

function filesOf(spec: unknown, at: (path: string) => string): unknown {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) return spec;
  const { file } = spec as { readonly file?: unknown };
  if (typeof file === 'string' && Object.keys(spec).length === 1) return { file: at(file) };
  return Object.fromEntries(Object.entries(spec).map(([key, value]) => [key, filesOf(value, at)]));
}

function refusal(file: string, diagnostics: readonly Diagnostic[]): PosternError {
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  return new PosternError('policy', `${file}: ${counted(errors.length, 'error')}`, {
    details: diagnostics.map(diagnosticJson),
  });
}

function noteOf(diagnostic: Diagnostic): Note {
  return { at: diagnostic.at, message: diagnosticText(diagnostic) };
}

function readList(path: string): string | undefined {
  try {
    return readBounded(path);
  } catch {
    return undefined;
  }
}

function readBounded(path: string): string {
  const bytes = readFileSync(path);
  if (bytes.length > maxFileBytes) throw new Error(`${path} is larger than ${maxFileBytes / 1024 / 1024} MiB`);
  return bytes.toString('utf8');
}

const ownerName = /^[A-Za-z_][A-Za-z0-9_.@-]{0,63}\$?$/;

/** By the machine's own databases, directory services included (getent(1)). */
function ownerNumber(kind: 'user' | 'group', name: string): number | undefined {
  if (!ownerName.test(name)) return undefined;
  const { stdout, status } = spawnSync('getent', [kind === 'user' ? 'passwd' : 'group', name], { encoding: 'utf8' });
  const number = Number(stdout?.split(':')[2]);
  return status === 0 && Number.isSafeInteger(number) ? number : undefined;
}
