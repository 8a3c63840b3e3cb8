/** Country databases as their publishers give them, read to ranges with their country. */

import { PosternError } from '../../errors.js';
import type { AddressRange } from '../../net/address.js';
import { parseAddress } from '../../net/address.js';
import { parsePrefix, prefixRange } from '../../net/prefix.js';

export interface CountryRange {
  /** As it is written, two characters. */
  readonly country: string;
  /** The country's name, where the database has it. */
  readonly name?: string;
  readonly range: AddressRange;
}

/** DB-IP Country Lite: `first,last,CC`, both families in one file. */
export function readDbip(text: string, file: string): CountryRange[] {
  return rows(text, file, 3).map(({ cells: [first, last, country], line }) => ({
    country: countryCode(country!, file, line),
    range: span(first!, last!, file, line),
  }));
}

/** The legacy form of 1.x: `"first","last","number","number","CC","Name"`; IPv4 only. */
export function readLegacy(text: string, file: string): CountryRange[] {
  return rows(text, file, 6).map(({ cells, line }) => {
    const [first, last] = [wholeNumber(cells[2]!, file, line), wholeNumber(cells[3]!, file, line)];
    if (first > last) throw malformed(file, line, `${cells[2]} is greater than ${cells[3]}`);
    return { country: countryCode(cells[4]!, file, line), name: cells[5]!, range: { family: 4, first, last } };
  });
}

export interface MaxmindFiles {
  readonly locations: string;
  readonly blocks4: string;
  readonly blocks6: string;
}

/** The names that MaxMind gives to the three files of GeoLite2 Country. */
export const maxmindFiles: MaxmindFiles = {
  locations: 'GeoLite2-Country-Locations-en.csv',
  blocks4: 'GeoLite2-Country-Blocks-IPv4.csv',
  blocks6: 'GeoLite2-Country-Blocks-IPv6.csv',
};

export interface Maxmind {
  /** Country code to name, with the three that stand for no country. */
  readonly names: ReadonlyMap<string, string>;
  readonly blocks4: readonly CountryRange[];
  readonly blocks6: readonly CountryRange[];
}

const anonymousProxy = ['A1', 'Anonymous Proxy'] as const;
const satellite = ['A2', 'Satellite Provider'] as const;
const other = ['O1', 'Other Country'] as const;

export function readMaxmind(texts: MaxmindFiles): Maxmind {
  const places = new Map<string, readonly [code: string, name: string]>();
  for (const { cells, line } of table(texts.locations, maxmindFiles.locations)) {
    const country = cells.get('country_iso_code');
    const [code, name] = country
      ? [country, cells.get('country_name')]
      : [cells.get('continent_code'), cells.get('continent_name')];
    places.set(cells.get('geoname_id') ?? '', [countryCode(code ?? '', maxmindFiles.locations, line), name ?? '']);
  }
  const blocks = (text: string, file: string): CountryRange[] =>
    table(text, file).map(({ cells, line }) => {
      const [country, name] = placeOf(cells, places, file, line);
      return { country, name, range: inRow(file, line, () => prefixRange(parsePrefix(cells.get('network') ?? ''))) };
    });
  return {
    names: new Map([anonymousProxy, satellite, other, ...places.values()]),
    blocks4: blocks(texts.blocks4, maxmindFiles.blocks4),
    blocks6: blocks(texts.blocks6, maxmindFiles.blocks6),
  };
}

function placeOf(
  cells: ReadonlyMap<string, string>,
  places: ReadonlyMap<string, readonly [string, string]>,
  file: string,
  line: number,
): readonly [string, string] {
  if (cells.get('is_anonymous_proxy') === '1') return anonymousProxy;
  if (cells.get('is_satellite_provider') === '1') return satellite;
  const id = cells.get('geoname_id') || cells.get('registered_country_geoname_id');
  if (!id) return other;
  const place = places.get(id);
  if (place === undefined) throw malformed(file, line, `geoname_id ${id} isn't in ${maxmindFiles.locations}`);
  return place;
}

interface Row {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Rows of a file without a heading. */
function rows(text: string, file: string, columns: number): Row[] {
  return csvRows(text, file).map((row) => {
    if (row.cells.length < columns)
      throw malformed(file, row.line, `${row.cells.length} columns where ${columns} are needed`);
    return row;
  });
}

/** Rows of a file whose first row names the columns. */
function table(text: string, file: string): { line: number; cells: ReadonlyMap<string, string> }[] {
  const [heading, ...body] = csvRows(text, file);
  if (heading === undefined) throw malformed(file, 1, 'the file is empty');
  return body.map(({ line, cells }) => ({
    line,
    cells: new Map(cells.map((cell, column) => [heading.cells[column] ?? '', cell])),
  }));
}

function csvRows(text: string, file: string): Row[] {
  const found: Row[] = [];
  for (const [index, source] of text.split('\n').entries()) {
    const row = source.endsWith('\r') ? source.slice(0, -1) : source;
    if (row !== '') found.push({ line: index + 1, cells: csvCells(row, file, index + 1) });
  }
  return found;
}

/** RFC 4180 in one line: `""` inside quotes is a quote. */
function csvCells(row: string, file: string, line: number): string[] {
  if (!row.includes('"')) return row.split(',');
  const cells: string[] = [];
  const cell = /("(?:[^"]|"")*"|[^",]*)(,|$)/y;
  while (cell.lastIndex < row.length || row.endsWith(',')) {
    const match = cell.exec(row);
    if (match === null) throw malformed(file, line, 'a quote is not closed');
    cells.push(match[1]!.startsWith('"') ? match[1]!.slice(1, -1).replaceAll('""', '"') : match[1]!);
    if (match[2] === '') break;
  }
  return cells;
}

function span(first: string, last: string, file: string, line: number): AddressRange {
  const [from, to] = inRow(file, line, () => [parseAddress(first), parseAddress(last)] as const);
  if (from.family !== to.family) throw malformed(file, line, `${first} and ${last} are of different families`);
  if (from.value > to.value) throw malformed(file, line, `${first} is greater than ${last}`);
  return { family: from.family, first: from.value, last: to.value };
}

function inRow<T>(file: string, line: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw malformed(file, line, error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(text: string, file: string, line: number): bigint {
  if (!/^[0-9]{1,10}$/.test(text) || BigInt(text) > 0xffff_ffffn)
    throw malformed(file, line, `${text} is no IPv4 address as a number`);
  return BigInt(text);
}

function countryCode(text: string, file: string, line: number): string {
  if (!/^[A-Za-z0-9]{2}$/.test(text)) throw malformed(file, line, `'${text}' is no country code of two characters`);
  return text;
}

function malformed(file: string, line: number, what: string): PosternError {
  return new PosternError('invalid', `${file}:${line}: ${what}`);
}
