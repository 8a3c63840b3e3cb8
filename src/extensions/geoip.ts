/**
 * geoip: countries by address. A rule looks into one set of intervals for each family, which holds the ranges of all
 * countries that it names; the daemon fills it from the country files before the rule is in force, and again when they
 * change. Nothing of the other countries is loaded. What is found in large sets is remembered by address.
 */

import type { Static } from 'typebox';
import type { Choice } from '../policy/ast.js';
import { path } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { ChoiceOf, type Format, Value } from '../policy/types.js';
import { type Extension, matchWord, sectionWord } from './extension.js';
import type { MatchFragment } from './fragment.js';
import { type Look, looksInto } from './geoip-looks.js';
import { type GeoipSpec, geoipDuty, usualDatabase } from './geoip-names.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import type { Ground, Site } from './site.js';

const country: Format<string> = {
  name: 'country',
  label: 'COUNTRY',
  description: 'A country by its ISO 3166 code, or another code that the database has: DE, A1.',
  json: { type: 'string', pattern: '^(not )?[A-Za-z0-9]{2}$' },
  parse: ({ value }) => {
    if (!/^[A-Za-z0-9]{2}$/.test(value))
      throw new Misread(`"${value}" is no country`, 'write its two letters, as in DE');
    return value.toUpperCase();
  },
};

const countries = ChoiceOf(Value(country));
const schema = Type.Object({ from: Type.Optional(countries), to: Type.Optional(countries) });

export const geoip: Extension = {
  name: 'geoip',
  summary: 'Matches the countries that a packet comes from or goes to.',
  sections: [
    sectionWord(
      {
        name: 'geoip',
        form: 'single',
        description: 'Where the country files are that `postern geoip build` makes.',
        schema: Type.Object({ database: Value(path, { description: 'Their folder.', default: usualDatabase }) }),
      },
      { compile: (_, { database }, ground) => checkDatabase(database, ground) },
    ),
  ],
  matches: [
    matchWord(
      {
        name: 'geoip',
        description: 'Countries that the packet comes from or goes to: { from: [DE, FR] }, { to: not DE }.',
        schema,
      },
      { compile: isFrom },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'geoip',
      options: { 'src-cc': 1, 'source-country': 1, 'dst-cc': 1, 'destination-country': 1 },
      negatable: ['src-cc', 'source-country', 'dst-cc', 'destination-country'],
      read: readCountries,
    },
  ],
  parity: {
    original: 'xt_geoip',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'any number of countries in a rule, source and destination in one rule; they cost one lookup for each',
      'from 4,096 ranges on, what was found is remembered by address for five minutes, of 65,536 addresses that are inside and as many that are outside; it is forgotten when the files change',
      'codes that differ by case are one country, in rules and in files; the original overwrites the file of one with the other',
      'a database that changes is loaded anew by itself',
    ],
    checked:
      'the country files of the original bit for bit; its answers; the packets of the recorded module through the kernel; half a million ranges',
  },
};

function readCountries(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const sides = [
    ['from', options.get('src-cc') ?? options.get('source-country')],
    ['to', options.get('dst-cc') ?? options.get('destination-country')],
  ] as const;
  const match = sides.flatMap(([side, option]) => {
    if (option === undefined) return [];
    const codes = [...new Set(option.value?.toUpperCase().split(','))];
    return [[side, option.negated ? codes.map((code) => `not ${code}`) : codes]];
  });
  return { match: { geoip: Object.fromEntries(match) } };
}

function checkDatabase(database: string, ground: Ground): void {
  if (!database.startsWith('/')) ground.refuse(`the database has no absolute path: ${database}`, 'begin it with "/"');
}

const databaseOf = ({ policy }: Ground): GeoipSpec =>
  (policy.sections.get('geoip')?.get('geoip')?.spec as GeoipSpec | undefined) ?? { database: usualDatabase };

function isFrom({ from, to }: Static<typeof schema>, site: Site): MatchFragment {
  if (from === undefined && to === undefined) site.refuse('"geoip" names no country', 'add "from:" or "to:"');
  const spec = databaseOf(site);
  site.duty({ kind: geoipDuty, name: geoipDuty, spec });
  return looksInto([...looksOf('source', from), ...looksOf('destination', to)], spec.database, site);
}

function looksOf(side: Look['side'], wanted: Choice<string> | undefined): Look[] {
  const { any, not } = wanted ?? { any: [], not: [] };
  const look = (codes: readonly string[], op: Look['op']): Look[] =>
    codes.length === 0 ? [] : [{ side, op, countries: [...new Set(codes)].sort() }];
  return [...look(any, '=='), ...look(not, '!=')];
}
