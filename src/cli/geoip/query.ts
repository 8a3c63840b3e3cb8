import { readdirSync, readFileSync } from 'node:fs';
import { PosternError } from '../../errors.js';
import { usualDatabase } from '../../extensions/geoip-names.js';
import { type Address, type AddressRange, type Family, formatAddress, parseAddress } from '../../net/address.js';
import { command } from '../command.js';

const families: readonly Family[] = [4, 6];

export const query = command({
  summary: "print a country's ranges, or the countries of an address",
  args: 'ADDRESS|CC...',
  options: {
    database: { type: 'string', short: 'D', value: 'DIR', help: `the country files; ${usualDatabase} when absent` },
    ipv4: { type: 'boolean', short: '4', help: 'ranges of IPv4 alone' },
    ipv6: { type: 'boolean', short: '6', help: 'ranges of IPv6 alone' },
  },
  about: `A country answers first-last, a line for each range. An address answers its countries, behind the address
when there are several; status 1: there is one that no country has.`,
  async run({ values, args, io }) {
    const { database = usualDatabase } = values;
    const wanted = families.filter((family) => (values.ipv4 === values.ipv6 ? true : values[`ipv${family}`] === true));
    let status = 0;
    for (const arg of args) {
      if (isCountry(arg)) {
        await io.out(asLines(await rangesOf(database, arg.toUpperCase(), wanted)));
        continue;
      }
      const countries = await countriesOf(database, addressOf(arg));
      if (countries.length === 0) {
        status = 1;
        io.err(`postern: no country has ${arg}\n`);
      }
      await io.out(asLines(args.length === 1 ? countries : countries.map((country) => `${arg} ${country}`)));
    }
    return status;
  },
});

const isCountry = (text: string): boolean => /^[A-Za-z0-9]{2}$/.test(text);
const asLines = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** @throws PosternError `usage`. */
function addressOf(text: string): Address {
  try {
    return parseAddress(text);
  } catch (cause) {
    throw new PosternError('usage', `${text} is neither an address nor a country of two letters`, { cause });
  }
}

/** @throws PosternError `not-found` for a country without files. */
async function rangesOf(database: string, country: string, wanted: readonly Family[]): Promise<string[]> {
  const files = families.map((family) => ({ family, ranges: readRanges(database, country, family) }));
  if (files.every(({ ranges }) => ranges === undefined))
    throw new PosternError('not-found', `there is no country ${country} in ${database}`);
  const { decodeGeoip } = await import('../../wire/geoip.js');
  return files
    .filter(({ family }) => wanted.includes(family))
    .flatMap(({ family, ranges }) => (ranges === undefined ? [] : decodeGeoip(ranges, family).map(text)));
}

const text = ({ family, first, last }: AddressRange): string =>
  `${formatAddress({ family, value: first })}-${formatAddress({ family, value: last })}`;

async function countriesOf(database: string, address: Address): Promise<string[]> {
  const { decodeGeoip } = await import('../../wire/geoip.js');
  return countriesIn(database, address.family).filter((country) =>
    decodeGeoip(readRanges(database, country, address.family)!, address.family).some(
      ({ first, last }) => first <= address.value && address.value <= last,
    ),
  );
}

function countriesIn(database: string, family: Family): string[] {
  try {
    const names = readdirSync(database).flatMap((name) => /^([A-Z0-9]{2})\.iv([46])$/.exec(name)?.slice(1) ?? []);
    return names.filter((_, index) => index % 2 === 0 && names[index + 1] === String(family)).sort();
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** Undefined for a file that isn't there. @throws PosternError `system` for one that can't be read. */
function readRanges(database: string, country: string, family: Family): Buffer | undefined {
  try {
    return readFileSync(`${database}/${country}.iv${family}`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(cause);
  }
}

const unreadable = (cause: unknown): PosternError =>
  new PosternError('system', `can't read the country files: ${(cause as Error).message}`, { cause });
