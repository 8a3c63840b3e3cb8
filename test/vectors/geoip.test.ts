/** The country files of the original's tools, bit for bit, and what its query prints. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { readLegacy } from '../../src/services/geoip/csv.js';
import { legacyCountryFiles } from '../../src/services/geoip/database.js';
import { captured } from '../cli/capture.js';
import { testVectors, type Vector } from './vectors.js';

interface GeoipVector extends Vector {
  readonly tool: string;
  readonly argv: readonly string[];
  readonly exit_code: number;
  readonly stdout: string;
  /** Of one file, or of several by name. */
  readonly input: string | Readonly<Record<string, string>> | null;
  readonly files_hex: Readonly<Record<string, string>>;
}

const differences = {
  'codes that differ by case':
    'the original keeps them apart and lets the files of one overwrite those of the other; ours are one country',
  'addresses that begin with ::': 'the original passes over a range whose first address begins with "::"; ours has it',
  'the folder is made': 'the original wants the folder to be there; ours makes it',
};

type Name = keyof typeof differences;

/** Lines of `NNNNN IPv4 ranges for CC`, without the progress before them. */
const rangeLines = (text: string): string[] =>
  text.split('\n').filter((line) => /^ *\d+ (IPv[46] )?ranges for/.test(line));

testVectors<GeoipVector, Name>('geoip', differences, async (vector) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-geoip-'));
  try {
    return vector.tool.startsWith('xt_geoip_query')
      ? await checkQuery(vector, folder)
      : await checkBuild(vector, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

async function checkQuery({ argv, exit_code, stdout, files_hex }: GeoipVector, folder: string): Promise<Name[]> {
  for (const [name, hex] of Object.entries(files_hex)) writeFileSync(join(folder, name), Buffer.from(hex, 'hex'));
  const { io, seen } = captured();
  const args = argv.slice(1).map((arg, index, all) => (all[index - 1] === '-D' ? folder : arg));
  const status = await run(['geoip', 'query', ...args], io, commands);
  assert.equal(status === 0, exit_code === 0, seen.err);
  assert.equal(seen.out, stdout);
  return [];
}

async function checkBuild(vector: GeoipVector, folder: string): Promise<Name[]> {
  const { tool, argv, input, files_hex, exit_code } = vector;
  if (input === null && argv.includes('nosuch')) return ['the folder is made'];
  const target = join(folder, 't');
  const source = writeInput(input, folder);
  if (tool.startsWith('geoip_build_db.pl')) return checkLegacy(vector, source);
  const kind = tool.startsWith('xt_geoip_build_maxmind') ? '--maxmind' : '--dbip';
  const { io, seen } = captured();
  const status = await run(
    ['geoip', 'build', kind, kind === '--maxmind' ? folder : source, '--to', target],
    io,
    commands,
  );
  assert.equal(status === 0, exit_code === 0, seen.err);
  if (status !== 0) return [];
  const files = Object.fromEntries(
    readdirSync(target).map((name) => [name, readFileSync(join(target, name)).toString('hex')]),
  );
  const twins = twinCodes(vector);
  const short = shortCodes(vector);
  const isCompared = (code: string, family: string): boolean =>
    !twins.has(code.toUpperCase()) && !(family === '6' && short.has(code));
  const compared = (content: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(content).filter(([name]) => isCompared(name.slice(0, 2), name.at(-1)!)));
  const lines = (text: string): string[] =>
    rangeLines(text).filter((line) => {
      const [, family, code] = /IPv([46]) ranges for (\w\w)/.exec(line)!;
      return isCompared(code!, family!);
    });
  assert.deepEqual(compared(files), compared(files_hex));
  if (!argv.includes('-q')) assert.deepEqual(lines(seen.out), lines(vector.stdout));
  return [
    ...(twins.size > 0 ? (['codes that differ by case'] as const) : []),
    ...(short.size > 0 ? (['addresses that begin with ::'] as const) : []),
  ];
}

/** Countries with a range that the original doesn't take for one of IPv6. */
function shortCodes({ input }: GeoipVector): Set<string> {
  const rows = typeof input === 'string' ? input.split('\n') : [];
  const found = rows.filter((row) => /^"?::/.test(row)).map((row) => row.split(',')[2]!.replaceAll('"', ''));
  return new Set(found.map((code) => code.toUpperCase()));
}

function checkLegacy({ argv, files_hex }: GeoipVector, source: string): Name[] {
  const rows = readLegacy(readFileSync(source, 'utf8'), source);
  const files = legacyCountryFiles(rows, argv.includes('-b') ? 'network' : 'little-endian');
  const found = Object.fromEntries(files.map(({ name, content }) => [name, content.toString('hex')]));
  const plain = Object.fromEntries(Object.entries(files_hex).map(([name, hex]) => [name.replace(/^.*\//, ''), hex]));
  assert.deepEqual(found, plain);
  return [];
}

function writeInput(input: GeoipVector['input'], folder: string): string {
  const path = join(folder, 'input.csv');
  if (typeof input === 'string') writeFileSync(path, input);
  else for (const [name, text] of Object.entries(input ?? {})) writeFileSync(join(folder, name), text);
  return path;
}

/** Codes that the input writes in both cases. */
function twinCodes({ stdout }: GeoipVector): Set<string> {
  const codes = new Set(rangeLines(stdout).map((line) => / for (\w\w)/.exec(line)![1]!));
  return new Set(
    [...codes]
      .filter((code) => code !== code.toUpperCase() && codes.has(code.toUpperCase()))
      .map((code) => code.toUpperCase()),
  );
}
