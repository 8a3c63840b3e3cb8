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

/** Where the headers of a segment are. */
interface Place {
  readonly family: 4 | 6;
  /** Where TCP begins. */
  readonly tcpAt: number;
  /** Bytes of TCP header and data. */
  readonly segmentBytes: number;
}

/** Gives a buffer of at least so many bytes for a packet, or undefined when none may be sent. */
export type Allocate = (family: 4 | 6, bytes: number) => Buffer | undefined;

/**
 * Writes the answer to a packet of which at least the headers are there. The checksum of an IPv4 header is left to the
 * kernel. What is no whole TCP segment, or comes from or goes to more than one host, is not answered.
 * @param draw a uniformly random unsigned 32-bit number; only honeypot mode uses it.
 * @returns whether there is an answer.
 */
export function answerSegment(copy: Buffer, mode: ResponderMode, draw: number, allocate: Allocate): boolean {
  const place = placeOf(copy, mode);
  if (place === undefined || copy.length < place.tcpAt + tcpBytes) return false;
  const { family, tcpAt, segmentBytes } = place;
  const headerBytes = (copy[tcpAt + 12]! >> 4) * 4;
  if (headerBytes < tcpBytes || headerBytes > segmentBytes) return false;
  const segment = {
    flags: copy[tcpAt + 13]!,
    seq: copy.readUInt32BE(tcpAt + 4),
    ack: copy.readUInt32BE(tcpAt + 8),
    window: copy.readUInt16BE(tcpAt + 14),
    payloadLength: mode === 'honeypot' ? segmentBytes - tcpBytes : segmentBytes - headerBytes,
  };
  const fields = responderReply(mode, segment, draw);
  if (fields === undefined) return false;
  const ipBytes = family === 4 ? 20 : 40;
  const packet = allocate(family, ipBytes + tcpBytes);
  if (packet === undefined) return false;
  if (family === 4) writeIpv4(packet, copy, mode);
  else writeIpv6(packet, copy, mode);
  writeTcp(packet, ipBytes, copy, tcpAt, fields);
  return true;
}

function placeOf(copy: Buffer, mode: ResponderMode): Place | undefined {
  const version = copy.length < 20 ? 0 : copy[0]! >> 4;
  if (version === 4) return placeInIpv4(copy, mode);
  return version === 6 && copy.length >= 40 ? placeInIpv6(copy) : undefined;
}

function placeInIpv4(copy: Buffer, mode: ResponderMode): Place | undefined {
  const tcpAt = (copy[0]! & 0x0f) * 4;
  const hasOptions = tcpAt !== 20;
  // TARPIT never answered packets with options; DELUDE does.
  if (copy[9] !== tcp || tcpAt < 20 || (hasOptions && mode !== 'delude')) return undefined;
  const isFragment = (copy.readUInt16BE(6) & 0x3fff) !== 0;
  if (isFragment || copy[16]! >= 224 || copy[12]! >= 224) return undefined;
  return { family: 4, tcpAt, segmentBytes: copy.readUInt16BE(2) - tcpAt };
}

function placeInIpv6(copy: Buffer): Place | undefined {
  if (copy[6] !== tcp || copy[8] === 0xff || copy[24] === 0xff) return undefined;
  return { family: 6, tcpAt: 40, segmentBytes: copy.readUInt16BE(4) };
}

const hopsOf = (mode: ResponderMode): number => (mode === 'honeypot' ? 128 : 64);

function writeIpv4(packet: Buffer, copy: Buffer, mode: ResponderMode): void {
  packet[0] = 0x45;
  packet[1] = mode === 'delude' ? 0 : copy[1]!;
  packet.writeUInt16BE(20 + tcpBytes, 2);
  packet.writeUInt16BE(mode === 'honeypot' ? negatedId(copy) : 0, 4);
  packet.writeUInt16BE(dontFragment, 6);
  packet[8] = hopsOf(mode);
  packet[9] = tcp;
  packet.writeUInt16BE(0, 10);
  copy.copy(packet, 12, 16, 20);
  copy.copy(packet, 16, 12, 16);
}

/** The original negates the id as it lies in memory of a little-endian host. */
function negatedId(copy: Buffer): number {
  const negated = -copy.readUInt16LE(4) & 0xffff;
  return ((negated & 0xff) << 8) | (negated >> 8);
}

function writeIpv6(packet: Buffer, copy: Buffer, mode: ResponderMode): void {
  const trafficClass = mode === 'delude' ? 0 : copy.readUInt32BE(0) & 0x0ff00000;
  packet.writeUInt32BE((0x60000000 | trafficClass) >>> 0, 0);
  packet.writeUInt16BE(tcpBytes, 4);
  packet[6] = tcp;
  packet[7] = hopsOf(mode);
  copy.copy(packet, 8, 24, 40);
  copy.copy(packet, 24, 8, 24);
}

function writeTcp(packet: Buffer, at: number, copy: Buffer, tcpAt: number, fields: TcpFields): void {
  copy.copy(packet, at, tcpAt + 2, tcpAt + 4);
  copy.copy(packet, at + 2, tcpAt, tcpAt + 2);
  packet.writeUInt32BE(fields.seq, at + 4);
  packet.writeUInt32BE(fields.ack, at + 8);
  packet[at + 12] = (tcpBytes / 4) << 4;
  packet[at + 13] = fields.flags;
  packet.writeUInt16BE(fields.window, at + 14);
  packet.writeUInt32BE(0, at + 16);
  const addressesAt = at === 20 ? 12 : 8;
  const pseudo = sumWords(packet, addressesAt, at, tcp + tcpBytes);
  packet.writeUInt16BE(checksumOf(sumWords(packet, at, at + tcpBytes, pseudo)), at + 16);
}
