/** The country files of a folder, as the engine asks for them. */

import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CountrySource } from '../../engine/countries.js';
import { PosternError } from '../../errors.js';
import type { CountrySizes } from '../../extensions/geoip-names.js';
import { addressBits, type Family } from '../../net/address.js';
import { PackedRanges } from '../../net/packed-ranges.js';

export const countryFile = (database: string, country: string, family: Family): string =>
  join(database, `${country}.iv${family}`);

/** By the length of the files: an address each for the beginning and the end of a range. */
export const countrySizes: CountrySizes = {
  ranges(database, country, family) {
    const found = statSync(countryFile(database, country, family), { throwIfNoEntry: false });
    return found === undefined ? 0 : found.size / (addressBits(family) / 4);
  },
};

export const countryFiles: CountrySource = {
  stamp(database, country) {
    const stamps = ([4, 6] as const).map((family) => stampOf(countryFile(database, country, family)));
    return stamps.every((stamp) => stamp === undefined) ? undefined : stamps.join(' ');
  },

  async ranges(database, { countries, family }) {
    const ranges = new PackedRanges(family);
    for (const country of countries) {
      const path = countryFile(database, country, family);
      if (stampOf(path) === undefined) continue;
      try {
        ranges.addRecords(await readFile(path));
      } catch (cause) {
        throw new PosternError('damaged', `${path}: ${(cause as Error).message}; build it again`, { cause });
      }
    }
    ranges.seal();
    return ranges;
  },
};

function stampOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.ino} ${found.size} ${found.mtimeNs}`;
}
