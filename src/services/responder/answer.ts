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
import { checksumOf, sumOfHalves } from '../../wire/checksum.js';

const tcp = 6;
const tcpBytes = 20;
const dontFragment = 0x4000;

/** A packet as it was copied: it lies in `view` from `payloadFrom` to `payloadTo`. */
export interface CopiedPacket {
  readonly view: DataView;
  readonly payloadFrom: number;
  readonly payloadTo: number;
}

/** Gives a view of at least so many bytes for a packet, or undefined when none may be sent. */
export type Allocate = (family: 4 | 6, bytes: number) => DataView | undefined;

/**
 * Writes the answer to a packet of which at least the headers are there. What is no whole TCP segment, or comes from or goes
 * to more than one host, is not answered. By words of 32 bits, and checksums from the same words as they are written: byte
 * by byte it takes twice as long, for some 100,000 packets a second.
 * @param draw a uniformly random unsigned 32-bit number; only honeypot mode uses it.
 * @returns whether there is an answer.
 */
export function answerSegment(copy: CopiedPacket, mode: ResponderMode, draw: number, allocate: Allocate): boolean {
  const { view, payloadFrom: at, payloadTo: end } = copy;
  const version = end - at < 20 ? 0 : view.getUint8(at) >> 4;
  const tcpAt = version === 4 ? tcpInIpv4(view, at, mode) : version === 6 ? tcpInIpv6(view, at, end) : 0;
  if (tcpAt === 0 || end - tcpAt < tcpBytes) return false;
  const segmentBytes = version === 4 ? view.getUint16(at + 2) - (tcpAt - at) : view.getUint16(at + 4);
  const headerBytes = (view.getUint8(tcpAt + 12) >> 4) * 4;
  if (headerBytes < tcpBytes || headerBytes > segmentBytes) return false;
  const segment = {
    flags: view.getUint8(tcpAt + 13),
    seq: view.getUint32(tcpAt + 4),
    ack: view.getUint32(tcpAt + 8),
    window: view.getUint16(tcpAt + 14),
    payloadLength: mode === 'honeypot' ? segmentBytes - tcpBytes : segmentBytes - headerBytes,
  };
  const fields = responderReply(mode, segment, draw);
  if (fields === undefined) return false;
  const ipBytes = version === 4 ? 20 : 40;
  const packet = allocate(version === 4 ? 4 : 6, ipBytes + tcpBytes);
  if (packet === undefined) return false;
  const addresses = version === 4 ? writeIpv4(packet, view, at, mode) : writeIpv6(packet, view, at, mode);
  writeTcp(packet, ipBytes, view.getUint32(tcpAt), fields, addresses);
  return true;
}

/** Where TCP begins; 0 for what isn't answered. */
function tcpInIpv4(view: DataView, at: number, mode: ResponderMode): number {
  const ipBytes = (view.getUint8(at) & 0x0f) * 4;
  // TARPIT never answered packets with options; DELUDE does.
  if (view.getUint8(at + 9) !== tcp || ipBytes < 20 || (ipBytes !== 20 && mode !== 'delude')) return 0;
  const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
  return isFragment || view.getUint8(at + 16) >= 224 || view.getUint8(at + 12) >= 224 ? 0 : at + ipBytes;
}

function tcpInIpv6(view: DataView, at: number, end: number): number {
  if (end - at < 40 || view.getUint8(at + 6) !== tcp) return 0;
  return view.getUint8(at + 8) === 0xff || view.getUint8(at + 24) === 0xff ? 0 : at + 40;
}

const hopsOf = (mode: ResponderMode): number => (mode === 'honeypot' ? 128 : 64);

/** @returns the sum of the addresses, as TCP needs it. */
function writeIpv4(packet: DataView, view: DataView, at: number, mode: ResponderMode): number {
  const service = mode === 'delude' ? 0 : view.getUint8(at + 1);
  const versionToLength = 0x45000000 | (service << 16) | (20 + tcpBytes);
  const idAndFragment = ((mode === 'honeypot' ? negatedId(view, at) : 0) << 16) | dontFragment;
  const hopsAndProtocol = (hopsOf(mode) << 8) | tcp;
  const addresses = copyWords(packet, 12, view, at + 16, 4) + copyWords(packet, 16, view, at + 12, 4);
  packet.setUint32(0, versionToLength);
  packet.setUint32(4, idAndFragment);
  packet.setUint16(8, hopsAndProtocol);
  const sum = sumOfHalves(versionToLength) + sumOfHalves(idAndFragment) + hopsAndProtocol + addresses;
  packet.setUint16(10, checksumOf(sum));
  return addresses;
}

/** The original negates the id as it lies in memory of a little-endian host. */
function negatedId(view: DataView, at: number): number {
  const negated = -view.getUint16(at + 4, true) & 0xffff;
  return ((negated & 0xff) << 8) | (negated >> 8);
}

/** @returns the sum of the addresses, as TCP needs it. */
function writeIpv6(packet: DataView, view: DataView, at: number, mode: ResponderMode): number {
  const trafficClass = mode === 'delude' ? 0 : view.getUint32(at) & 0x0ff00000;
  packet.setUint32(0, 0x60000000 | trafficClass);
  packet.setUint32(4, (tcpBytes << 16) | (tcp << 8) | hopsOf(mode));
  return copyWords(packet, 8, view, at + 24, 16) + copyWords(packet, 24, view, at + 8, 16);
}

/** @returns the sum of what it copied. */
function copyWords(to: DataView, at: number, from: DataView, first: number, bytes: number): number {
  let sum = 0;
  for (let offset = 0; offset < bytes; offset += 4) {
    const word = from.getUint32(first + offset);
    to.setUint32(at + offset, word);
    sum += sumOfHalves(word);
  }
  return sum;
}

/** @param ports of the segment that is answered @param addresses their sum */
function writeTcp(packet: DataView, at: number, ports: number, fields: TcpFields, addresses: number): void {
  const { seq, ack, flags, window } = fields;
  const lengthToWindow = ((tcpBytes / 4) << 28) | (flags << 16) | window;
  packet.setUint32(at, (ports << 16) | (ports >>> 16));
  packet.setUint32(at + 4, seq);
  packet.setUint32(at + 8, ack);
  packet.setUint32(at + 12, lengthToWindow);
  const header = sumOfHalves(ports) + sumOfHalves(seq) + sumOfHalves(ack) + sumOfHalves(lengthToWindow);
  packet.setUint16(at + 16, checksumOf(addresses + tcp + tcpBytes + header));
  packet.setUint16(at + 18, 0);
}
