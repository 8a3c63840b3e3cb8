/**
 * The country files of xt_geoip.
 *
 * | File   | Record | Fields |
 * |--------|--------|--------|
 * | CC.iv4 | 8      | first and last address, each u32 in network order; ascending |
 * | CC.iv6 | 32     | first and last address, each 16 bytes; ascending |
 * | CC.iv0 | 8      | xtables-addons 1.x: the same as IPv4, little-endian below LE/, big-endian below BE/; any order |
 *
 * There is no header; an empty file is a country without ranges.
 */

import { PosternError } from '../errors.js';
import { type AddressRange, addressBits, type Family } from '../net/address.js';

export type GeoipOrder = 'network' | 'little-endian';

export function encodeGeoip(ranges: readonly AddressRange[], family: Family, order: GeoipOrder = 'network'): Buffer {
  const size = addressBits(family) / 8;
  const file = Buffer.alloc(ranges.length * size * 2);
  for (const [index, { first, last }] of ranges.entries()) {
    for (const [place, value] of [first, last].entries())
      writeAddress(file, (index * 2 + place) * size, value, size, order);
  }
  return file;
}

/** @throws PosternError `damaged`: the size is no multiple of a record, or a range ends before it begins. */
export function decodeGeoip(file: Buffer, family: Family, order: GeoipOrder = 'network'): AddressRange[] {
  const size = addressBits(family) / 8;
  if (file.length % (size * 2) !== 0) {
    throw new PosternError(
      'damaged',
      `a country file of ${file.length} bytes doesn't hold whole records of ${size * 2}; build it again`,
    );
  }
  const ranges: AddressRange[] = [];
  for (let at = 0; at < file.length; at += size * 2) {
    const range = {
      family,
      first: readAddress(file, at, size, order),
      last: readAddress(file, at + size, size, order),
    };
    if (range.first > range.last) {
      throw new PosternError('damaged', `the country file's range at byte ${at} ends before it begins; build it again`);
    }
    ranges.push(range);
  }
  return ranges;
}

function writeAddress(file: Buffer, at: number, value: bigint, size: number, order: GeoipOrder): void {
  if (order === 'little-endian') file.writeUInt32LE(Number(value), at);
  else file.write(value.toString(16).padStart(size * 2, '0'), at, 'hex');
}

function readAddress(file: Buffer, at: number, size: number, order: GeoipOrder): bigint {
  if (order === 'little-endian') return BigInt(file.readUInt32LE(at));
  return BigInt(`0x${file.toString('hex', at, at + size)}`);
}
