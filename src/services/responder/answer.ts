/**
 * The answer of the responder as a packet: headers of 20 or 40 bytes and of TCP, no options, no data. Sources: RFC 791,
 * RFC 8200, RFC 9293.
 *
 * | Header | Offset: field |
 * |---|---|
 * | IPv4 | 0: version and words, 1: type of service, 2: length u16, 4: id u16, 6: fragment u16, 8: ttl, 9: protocol, 10: checksum u16, 12: source, 16: destination |
 * | IPv6 | 0: version, traffic class, flow label, 4: payload length u16, 6: next header, 7: hop limit, 8: source, 24: destination |
 * | TCP | 0: source port u16, 2: destination port u16, 4: sequence u32, 8: acknowledgement u32, 12: words, 13: flags, 14: window u16, 16: checksum u16, 18: urgent u16 |
 */

import { type ResponderMode, responderReply } from '../../extensions/models/responder.js';
import type { TcpFields } from '../../extensions/models/tarpit.js';
import { checksumOf, sumWords } from '../../wire/checksum.js';

const tcp = 6;
const tcpBytes = 20;
const dontFragment = 0x4000;

/** A packet as it was copied: it lies in `data` from `payloadFrom` to `payloadTo`. */
export interface CopiedPacket {
  readonly data: Uint8Array;
  readonly payloadFrom: number;
  readonly payloadTo: number;
}

/** Gives a buffer of at least so many bytes for a packet, or undefined when none may be sent. */
export type Allocate = (family: 4 | 6, bytes: number) => Uint8Array | undefined;

// Byte by byte: methods of Buffer cost more than all the rest, for some 100,000 packets a second.
const u16 = (data: Uint8Array, at: number): number => (data[at]! << 8) | data[at + 1]!;
const u32 = (data: Uint8Array, at: number): number => ((u16(data, at) << 16) | u16(data, at + 2)) >>> 0;

function put16(data: Uint8Array, at: number, value: number): void {
  data[at] = value >>> 8;
  data[at + 1] = value;
}

function put32(data: Uint8Array, at: number, value: number): void {
  put16(data, at, value >>> 16);
  put16(data, at + 2, value);
}

function copyBytes(to: Uint8Array, at: number, from: Uint8Array, first: number, bytes: number): void {
  for (let index = 0; index < bytes; index++) to[at + index] = from[first + index]!;
}

/**
 * Writes the answer to a packet of which at least the headers are there. What is no whole TCP segment, or comes from or goes to more than one host, is not answered.
 * @param draw a uniformly random unsigned 32-bit number; only honeypot mode uses it.
 * @returns whether there is an answer.
 */
export function answerSegment(copy: CopiedPacket, mode: ResponderMode, draw: number, allocate: Allocate): boolean {
  const { data, payloadFrom: at, payloadTo: end } = copy;
  const version = end - at < 20 ? 0 : data[at]! >> 4;
  const tcpAt = version === 4 ? tcpInIpv4(data, at, mode) : version === 6 ? tcpInIpv6(data, at, end) : 0;
  if (tcpAt === 0 || end - tcpAt < tcpBytes) return false;
  const segmentBytes = version === 4 ? u16(data, at + 2) - (tcpAt - at) : u16(data, at + 4);
  const headerBytes = (data[tcpAt + 12]! >> 4) * 4;
  if (headerBytes < tcpBytes || headerBytes > segmentBytes) return false;
  const segment = {
    flags: data[tcpAt + 13]!,
    seq: u32(data, tcpAt + 4),
    ack: u32(data, tcpAt + 8),
    window: u16(data, tcpAt + 14),
    payloadLength: mode === 'honeypot' ? segmentBytes - tcpBytes : segmentBytes - headerBytes,
  };
  const fields = responderReply(mode, segment, draw);
  if (fields === undefined) return false;
  const ipBytes = version === 4 ? 20 : 40;
  const packet = allocate(version === 4 ? 4 : 6, ipBytes + tcpBytes);
  if (packet === undefined) return false;
  if (version === 4) writeIpv4(packet, data, at, mode);
  else writeIpv6(packet, data, at, mode);
  writeTcp(packet, ipBytes, data, tcpAt, fields);
  return true;
}

/** Where TCP begins; 0 for what isn't answered. */
function tcpInIpv4(data: Uint8Array, at: number, mode: ResponderMode): number {
  const ipBytes = (data[at]! & 0x0f) * 4;
  // TARPIT never answered packets with options; DELUDE does.
  if (data[at + 9] !== tcp || ipBytes < 20 || (ipBytes !== 20 && mode !== 'delude')) return 0;
  const isFragment = (u16(data, at + 6) & 0x3fff) !== 0;
  return isFragment || data[at + 16]! >= 224 || data[at + 12]! >= 224 ? 0 : at + ipBytes;
}

function tcpInIpv6(data: Uint8Array, at: number, end: number): number {
  const isOneToOne = data[at + 8] !== 0xff && data[at + 24] !== 0xff;
  return end - at >= 40 && data[at + 6] === tcp && isOneToOne ? at + 40 : 0;
}

const hopsOf = (mode: ResponderMode): number => (mode === 'honeypot' ? 128 : 64);

function writeIpv4(packet: Uint8Array, data: Uint8Array, at: number, mode: ResponderMode): void {
  packet[0] = 0x45;
  packet[1] = mode === 'delude' ? 0 : data[at + 1]!;
  put16(packet, 2, 20 + tcpBytes);
  put16(packet, 4, mode === 'honeypot' ? negatedId(data, at) : 0);
  put16(packet, 6, dontFragment);
  packet[8] = hopsOf(mode);
  packet[9] = tcp;
  put16(packet, 10, 0);
  copyBytes(packet, 12, data, at + 16, 4);
  copyBytes(packet, 16, data, at + 12, 4);
  put16(packet, 10, checksumOf(sumWords(packet, 0, 20)));
}

/** The original negates the id as it lies in memory of a little-endian host. */
function negatedId(data: Uint8Array, at: number): number {
  const negated = -((data[at + 5]! << 8) | data[at + 4]!) & 0xffff;
  return ((negated & 0xff) << 8) | (negated >> 8);
}

function writeIpv6(packet: Uint8Array, data: Uint8Array, at: number, mode: ResponderMode): void {
  const trafficClass = mode === 'delude' ? 0 : u32(data, at) & 0x0ff00000;
  put32(packet, 0, 0x60000000 | trafficClass);
  put16(packet, 4, tcpBytes);
  packet[6] = tcp;
  packet[7] = hopsOf(mode);
  copyBytes(packet, 8, data, at + 24, 16);
  copyBytes(packet, 24, data, at + 8, 16);
}

function writeTcp(packet: Uint8Array, at: number, data: Uint8Array, tcpAt: number, fields: TcpFields): void {
  copyBytes(packet, at, data, tcpAt + 2, 2);
  copyBytes(packet, at + 2, data, tcpAt, 2);
  put32(packet, at + 4, fields.seq);
  put32(packet, at + 8, fields.ack);
  packet[at + 12] = (tcpBytes / 4) << 4;
  packet[at + 13] = fields.flags;
  put16(packet, at + 14, fields.window);
  put32(packet, at + 16, 0);
  const addressesAt = at === 20 ? 12 : 8;
  const sum = sumWords(packet, addressesAt, at + tcpBytes, tcp + tcpBytes);
  put16(packet, at + 16, checksumOf(sum));
}
