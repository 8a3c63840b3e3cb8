/** Country ranges gathered into the database that `geoip` rules load, and into xt_geoip's files. */

import type { AddressRange, Family } from '../../net/address.js';
import { mergeRanges } from '../../net/ranges.js';
import { encodeGeoip } from '../../wire/geoip.js';
import type { CountryRange } from './csv.js';

export interface Country {
  /** Upper case; the original keeps codes that differ by case apart and lets one overwrite the other's file. */
  readonly code: string;
  readonly name?: string;
  /** Merged and ascending. */
  readonly ranges4: readonly AddressRange[];
  readonly ranges6: readonly AddressRange[];
}

/** Countries in the order of their codes; overlapping and adjacent ranges of a country become one. */
export function gatherCountries(rows: Iterable<CountryRange>): Country[] {
  const found = new Map<string, { name?: string; ranges: Record<Family, AddressRange[]> }>();
  for (const { country, name, range } of rows) {
    const code = country.toUpperCase();
    let entry = found.get(code);
    if (entry === undefined) {
      entry = { name, ranges: { 4: [], 6: [] } };
      found.set(code, entry);
    }
    entry.ranges[range.family].push(range);
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { name, ranges }]) => ({
      code,
      name,
      ranges4: mergeRanges(ranges[4]),
      ranges6: mergeRanges(ranges[6]),
    }));
}

export interface CountryFile {
  readonly name: string;
  readonly content: Buffer;
}

/** The files of xtables-addons 3.x; both families of every country, also when one is empty. */
export function countryFiles(countries: readonly Country[]): CountryFile[] {
  return countries.flatMap(({ code, ranges4, ranges6 }) => [
    { name: `${code}.iv4`, content: encodeGeoip(ranges4, 4) },
    { name: `${code}.iv6`, content: encodeGeoip(ranges6, 6) },
  ]);
}

/** The files of xtables-addons 1.x: ranges as they came, in one byte order. */
export function legacyCountryFiles(rows: Iterable<CountryRange>, order: 'network' | 'little-endian'): CountryFile[] {
  const found = new Map<string, AddressRange[]>();
  for (const { country, range } of rows) {
    const code = country.toUpperCase();
    const ranges = found.get(code);
    if (ranges === undefined) found.set(code, [range]);
    else ranges.push(range);
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, ranges]) => ({ name: `${code}.iv0`, content: encodeGeoip(ranges, 4, order) }));
}
