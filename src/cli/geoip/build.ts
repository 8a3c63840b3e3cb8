import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PosternError } from '../../errors.js';
import { usualDatabase } from '../../extensions/geoip-names.js';
import type { Country } from '../../services/geoip/database.js';
import { command, type Io } from '../command.js';

export const build = command({
  summary: 'make country files of a database as its publisher gives it',
  options: {
    dbip: { type: 'string', value: 'FILE', help: "DB-IP's Country Lite, first,last,CC; - is standard input" },
    maxmind: { type: 'string', value: 'DIR', help: "MaxMind's GeoLite2 Country, the folder with its CSV files" },
    legacy: { type: 'string', value: 'FILE', help: 'the old form with numbers: "first","last",N,N,"CC","Name"' },
    to: { type: 'string', value: 'DIR', help: `where they go; ${usualDatabase} when absent` },
    quiet: { type: 'boolean', short: 'q', help: 'print nothing' },
  },
  about: `Ranges of a country that overlap or touch become one. Each file takes its place whole, so that a daemon never
reads half of one.`,
  examples: [
    { command: 'postern geoip build --dbip dbip-country-lite-2026-11.csv', what: 'take the free database of DB-IP' },
    { command: 'zcat dbip.csv.gz | postern geoip build --dbip -', what: 'the same, from a pipe' },
  ],
  async run({ name, values, io }) {
    const { dbip, maxmind, legacy, to = usualDatabase, quiet = false } = values;
    if ([dbip, maxmind, legacy].filter((one) => one !== undefined).length !== 1)
      throw new PosternError('usage', `one of --dbip, --maxmind and --legacy says what there is: see '${name} --help'`);
    const { countryFiles, gatherCountries } = await import('../../services/geoip/database.js');
    const csv = await import('../../services/geoip/csv.js');
    const countries = gatherCountries(
      dbip !== undefined
        ? csv.readDbip(await textOf(dbip, io), dbip)
        : legacy !== undefined
          ? csv.readLegacy(await textOf(legacy, io), legacy)
          : fromMaxmind(csv, maxmind!),
    );
    if (countries.length === 0) throw new PosternError('invalid', 'the database is empty: nothing was written');
    writeFiles(countryFiles(countries), to);
    if (!quiet) await io.out(countries.map(countryText).join(''));
    return 0;
  },
});

type Csv = typeof import('../../services/geoip/csv.js');

function fromMaxmind({ readMaxmind, maxmindFiles }: Csv, folder: string) {
  const text = (name: string): string => readText(join(folder, name));
  const { blocks4, blocks6 } = readMaxmind({
    locations: text(maxmindFiles.locations),
    blocks4: text(maxmindFiles.blocks4),
    blocks6: text(maxmindFiles.blocks6),
  });
  return [...blocks4, ...blocks6];
}

async function textOf(path: string, { stdin }: Io): Promise<string> {
  if (path !== '-') return readText(path);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks).toString();
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PosternError('system', `can't read the database: ${(cause as Error).message}`, { cause });
  }
}

function writeFiles(files: readonly { readonly name: string; readonly content: Buffer }[], folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const { name, content } of files) {
      const path = join(folder, name);
      writeFileSync(`${path}.new`, content);
      renameSync(`${path}.new`, path);
    }
  } catch (cause) {
    throw new PosternError('system', `can't write the country files: ${(cause as Error).message}`, { cause });
  }
}

/** As xt_geoip_build says it. */
function countryText({ code, name, ranges4, ranges6 }: Country): string {
  const line = (count: number, family: string): string =>
    `${String(count).padStart(5)} ${family} ranges for ${code}${name === undefined ? '' : ` ${name}`}\n`;
  return line(ranges4.length, 'IPv4') + line(ranges6.length, 'IPv6');
}
