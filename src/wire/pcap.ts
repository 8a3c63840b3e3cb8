/**
 * Packets of a capture file (pcap, not pcapng). Source: libpcap's savefile format; byte order as the magic says.
 *
 * | Part | Offset: field |
 * |---|---|
 * | File | 0: magic a1b2c3d4 (microseconds) or a1b23c4d (nanoseconds), 20: link type u32; 24 bytes |
 * | Record | 8: captured bytes u32, 12: bytes on the wire u32; 16 bytes, then the packet |
 *
 * Link types: 1 Ethernet (14 bytes in front of IP), 12 and 101 raw IP, 113 Linux cooked (16), 276 Linux cooked v2 (20).
 */

import { PosternError } from '../errors.js';

const FILE_BYTES = 24;
const RECORD_BYTES = 16;
const MAGIC: readonly number[] = [0xa1b2c3d4, 0xa1b23c4d];
const headerBytes: ReadonlyMap<number, number> = new Map([
  [1, 14],
  [12, 0],
  [101, 0],
  [113, 16],
  [276, 20],
]);

/** The packets of a capture from their IP headers on. @throws PosternError `invalid` */
export function readPcap(file: Buffer): Buffer[] {
  const little = file.length >= FILE_BYTES && MAGIC.includes(file.readUInt32LE(0));
  if (!little && !(file.length >= FILE_BYTES && MAGIC.includes(file.readUInt32BE(0)))) {
    throw new PosternError('invalid', 'this is no pcap file; write one with: tcpdump -w FILE (pcapng is not read)');
  }
  const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const link = u32(20) & 0xffff;
  const skip = headerBytes.get(link);
  if (skip === undefined)
    throw new PosternError('invalid', `the capture has link type ${link}, which is not known here`);
  const packets: Buffer[] = [];
  for (let at = FILE_BYTES; at < file.length; ) {
    const end = at + RECORD_BYTES + (at + RECORD_BYTES <= file.length ? u32(at + 8) : Number.POSITIVE_INFINITY);
    if (end > file.length) throw new PosternError('invalid', `packet ${packets.length + 1} of the capture is cut`);
    if (u32(at + 8) < u32(at + 12)) {
      throw new PosternError('invalid', `packet ${packets.length + 1} was captured in part: use tcpdump -s 0`);
    }
    packets.push(file.subarray(Math.min(at + RECORD_BYTES + skip, end), end));
    at = end;
  }
  return packets;
}
