/** Country files against a slow database: every address of a small part of each family, asked one by one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Family } from '../../../src/net/address.js';
import type { CountryRange } from '../../../src/services/geoip/csv.js';
import { countryFiles, gatherCountries } from '../../../src/services/geoip/database.js';
import { decodeGeoip, encodeGeoip } from '../../../src/wire/geoip.js';

/** The ends of each family's addresses are in the part, where an address has no neighbour. */
const parts: readonly (readonly [Family, bigint])[] = [
  [4, 0n],
  [4, 0xffff_ffffn - 63n],
  [6, 0x2001_0db8n << 96n],
  [6, (1n << 128n) - 64n],
];
const row: fc.Arbitrary<CountryRange> = fc
  .tuple(fc.constantFrom('XA', 'xa', 'XB', 'A1'), fc.constantFrom(...parts), fc.nat(63), fc.nat(63))
  .map(([country, [family, from], one, other]) => {
    const [first, last] = [Math.min(one, other), Math.max(one, other)].map((place) => from + BigInt(place));
    return { country, range: { family, first: first!, last: last! } };
  });

/** The address as the file has it, byte by byte. */
function bytesOf(value: bigint, family: Family): number[] {
  const count = family === 4 ? 4 : 16;
  return Array.from({ length: count }, (_, index) => Number((value >> BigInt(8 * (count - 1 - index))) % 256n));
}

/** The records of all addresses that some row gives to the country, found by asking for each address. */
function slowFile(rows: readonly CountryRange[], country: string, family: Family): Buffer {
  const isThere = (value: bigint): boolean =>
    rows.some(
      (one) =>
        one.country.toUpperCase() === country &&
        one.range.family === family &&
        value >= one.range.first &&
        value <= one.range.last,
    );
  const records: number[] = [];
  for (const [, from] of parts.filter(([of]) => of === family)) {
    for (let value = from; value < from + 64n; value++) {
      if (!isThere(value)) continue;
      if (value === from || !isThere(value - 1n)) records.push(...bytesOf(value, family));
      if (value === from + 63n || !isThere(value + 1n)) records.push(...bytesOf(value, family));
    }
  }
  return Buffer.from(records);
}

test('the files of a country hold the addresses that its rows have, merged, and read back as the same', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 25 }), (rows) => {
      const countries = gatherCountries(rows);
      const named = new Set(rows.map(({ country }) => country.toUpperCase()));
      assert.deepEqual(
        countries.map(({ code }) => code),
        [...named].sort(),
      );
      const files = new Map(countryFiles(countries).map(({ name, content }) => [name, content]));
      for (const { code, ranges4, ranges6 } of countries) {
        for (const [family, ranges] of [
          [4, ranges4],
          [6, ranges6],
        ] as const) {
          const file = files.get(`${code}.iv${family}`)!;
          assert.deepEqual(file, slowFile(rows, code, family));
          assert.deepEqual(decodeGeoip(file, family), ranges);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('what is no country file is refused, and all that is read is written the same', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 130 }), fc.constantFrom<Family>(4, 6), (bytes, family) => {
      const file = Buffer.from(bytes);
      try {
        assert.deepEqual(encodeGeoip(decodeGeoip(file, family), family), file);
      } catch (error) {
        if ((error as { code?: string }).code !== 'damaged') throw error;
      }
    }),
    { numRuns: 1_000 },
  );
});
