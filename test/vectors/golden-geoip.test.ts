/** geoip against what the recorded module matched, its database made by us, packets through the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { mergeRanges } from '../../src/net/ranges.js';
import { elementOf, setPath } from '../../src/oracle/plan-contents.js';
import { readDbip } from '../../src/services/geoip/csv.js';
import { countryFiles, gatherCountries } from '../../src/services/geoip/database.js';
import { captured } from '../cli/capture.js';
import { matchHost } from '../kernel/match-host.js';
import { udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { readOriginal, yamlKeys } from './original-rule.js';
import { RowRun, resultsIn } from './row-run.js';
import { given, replayUsage, takes, type UsageRow } from './usage.js';

interface Golden {
  readonly usage: readonly UsageRow[];
  readonly csv: string;
  readonly files: Readonly<Record<string, string>>;
  /** Of the tables that have none of their own. */
  readonly rules: readonly string[];
  readonly rows: readonly {
    readonly family: 4 | 6;
    readonly rules?: readonly string[];
    /** `packet` is the source. */
    readonly rows: readonly { readonly packet: string; readonly hits: readonly number[] }[];
  }[];
  /** What the original's query printed; `-D` is where `files` are. */
  readonly query: readonly { readonly cmd: string; readonly rc: number; readonly stdout: string }[];
}

interface Case {
  readonly rule: string;
  readonly source: string;
}

/** Where all packets of the recording went. It isn't the host's here: the rules stand before that is asked. */
const recordedDestination = { 4: '10.0.0.1', 6: 'fd00::1' } as const;

const golden = loadGolden<Golden>('geoip');
const countries = gatherCountries(readDbip(golden.csv, 'csv'));
const host = await matchHost({ after });

/** Codes that the database has in both cases: the original lost one of them. */
const codes = golden.csv.split('\n').map((line) => line.split(',').at(-1)?.replaceAll('"', '') ?? '');
const twins = new Set(
  codes
    .filter((code) => code !== code.toUpperCase() && codes.includes(code.toUpperCase()))
    .map((code) => code.toUpperCase()),
);
const differences = {
  'codes that differ by case': {
    reason: 'the original lets the file of one overwrite that of the other; ours are one country',
    applies: ({ rule }: Case) => [...twins].some((code) => rule.includes(code)),
  },
};

test("the database's files are those of the original", () => {
  const made = Object.fromEntries(countryFiles(countries).map(({ name, content }) => [name, content.toString('hex')]));
  for (const [name, hex] of Object.entries(golden.files)) {
    if (!twins.has(name.slice(0, 2))) assert.equal(made[name], hex, name);
  }
});

test('geoip takes the packets that the recorded module took', async (t) => {
  const compared = new RowRun<Case>(differences);
  for (const { family, rules = golden.rules, rows } of golden.rows) {
    const read = rules.map((rule) => yamlKeys(readOriginal(rule, 'geoip').match));
    await host.rules('prerouting', read, {
      contents: ({ manifest }) =>
        new Map(
          manifest.sets.flatMap((set) => {
            const { role } = set;
            if (role.kind !== 'countries') return [];
            const own = countries.filter(({ code }) => role.countries.includes(code));
            const ranges = own.flatMap(({ ranges4, ranges6 }) => (role.family === 4 ? ranges4 : ranges6));
            return [[setPath(manifest, set), mergeRanges(ranges).map(elementOf)] as const];
          }),
        ),
    });
    for (const { packet, hits } of rows) {
      const found = await host.hits(udp(packet, recordedDestination[family], 999));
      for (const [index, rule] of rules.entries()) {
        compared.check(`${packet} in ${rule}`, { rule, source: packet }, found[index], hits[index]);
      }
    }
  }
  compared.end(t, resultsIn(golden.rows));
});

const queryDifferences = {
  'asked for nothing': {
    reason: 'the original says nothing then; ours says that a country or an address is missing',
    applies: ({ cmd }: Golden['query'][number]) => cmd.endsWith('-4') || cmd.endsWith('-6'),
    expected: () => [false, ''],
  },
};

test('the database is asked as by the original', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-geoip-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, hex] of Object.entries(golden.files)) writeFileSync(join(folder, name), Buffer.from(hex, 'hex'));
  const compared = new RowRun(queryDifferences);
  for (const query of golden.query) {
    const { io, seen } = captured();
    const args = query.cmd.split(' ').slice(1);
    args[args.indexOf('-D') + 1] = folder;
    const status = await run(['geoip', 'query', ...args], io, commands);
    compared.check(query.cmd, query, [status === 0, seen.out], [query.rc === 0, query.stdout]);
  }
  compared.end(t, golden.query.length);
});

const usageDifferences = {
  'both sides': takes('one rule asks for the countries of both ends', ({ options }) => {
    const names = options.map(([name]) => name);
    return names.some((name) => name.startsWith('s')) && names.some((name) => name.startsWith('d'));
  }),
  'no such file': takes(
    'whether the database has a country is asked when the policy is loaded, where the database is',
    (command) => {
      const listed =
        given(command, 'src-cc') ??
        given(command, 'source-country') ??
        given(command, 'dst-cc') ??
        given(command, 'destination-country') ??
        '';
      return listed
        .split(',')
        .some((code) => /^[A-Za-z0-9]{2}$/.test(code) && !countries.some((known) => known.code === code.toUpperCase()));
    },
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage, usageDifferences);
});
