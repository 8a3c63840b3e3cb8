/**
 * IP packets as values and as bytes. Sources: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP),
 * RFC 792 and RFC 4443 (ICMP). Numbers are big-endian.
 *
 * | Header | Offset: field |
 * |---|---|
 * | IPv4 | 0: version and words, 1: type of service, 2: length u16, 4: id u16, 6: fragment u16, 8: ttl, 9: protocol, 10: checksum u16, 12: source, 16: destination, 20: options |
 * | IPv6 | 0: version, traffic class, flow label u32, 4: payload length u16, 6: next header, 7: hop limit, 8: source, 24: destination |
 * | TCP | 0: source port u16, 2: destination port u16, 4: sequence u32, 8: acknowledgement u32, 12: words, 13: flags, 14: window u16, 16: checksum u16, 18: urgent u16, 20: options |
 * | UDP | 0: source port u16, 2: destination port u16, 4: length u16, 6: checksum u16 |
 * | UDP-Lite (RFC 3828) | as UDP, but 4: bytes that the checksum covers u16; all, as we write it |
 * | ICMP | 0: type, 1: code, 2: checksum u16, 4: rest (4 bytes) |
 */

import { PosternError } from '../errors.js';
import { type Address, addressBytes, addressFromBytes } from '../net/address.js';
import { checksum, transportChecksum } from './checksum.js';

export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, UDPLITE: 136 } as const;
/** Bits of the TCP flags, lowest first. */
export const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'] as const;
export const FLAG_BIT = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32 } as const;

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flags: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly window?: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options?: Uint8Array;
}

export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface IcmpHeader {
  readonly type: number;
  readonly code: number;
  /** The 4 bytes behind the checksum: identifier and sequence of an echo. */
  readonly rest?: Uint8Array;
}

/** One packet. At most one of `tcp`, `udp`, `icmp`; `payload` is what follows it. */
export interface Packet {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  /** Hop limit in IPv6; 64 when absent. */
  readonly ttl?: number;
  /** Type of service, traffic class in IPv6. */
  readonly tos?: number;
  /** IPv4 alone. Offset in bytes. */
  readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean };
  /** IPv4 alone: a multiple of 4 bytes, at most 40. */
  readonly options?: Uint8Array;
  readonly tcp?: TcpHeader;
  readonly udp?: UdpHeader;
  readonly icmp?: IcmpHeader;
  readonly payload: Uint8Array;
}

const DEFAULT_TTL = 64;
const DEFAULT_WINDOW = 64_240;
const IPV6_BYTES = 40;

/** The bytes of a packet, with right lengths and checksums. @throws PosternError `invalid` when it is longer than IP takes. */
export function encodePacket(packet: Packet): Buffer {
  const segment = encodeSegment(packet);
  const bytes = packet.source.family === 4 ? encodeIpv4(packet, segment) : encodeIpv6(packet, segment);
  if (bytes.length > 0xffff) throw new PosternError('invalid', `a packet of ${bytes.length} bytes: IP takes 65535`);
  return bytes;
}

function encodeIpv4(packet: Packet, segment: Buffer): Buffer {
  const { options = new Uint8Array(0), fragment } = packet;
  const header = Buffer.alloc(20 + options.length);
  header[0] = 0x40 | (header.length / 4);
  header[1] = packet.tos ?? 0;
  header.writeUInt16BE(Math.min(header.length + segment.length, 0xffff), 2);
  if (fragment !== undefined) {
    header.writeUInt16BE(fragment.id, 4);
    header.writeUInt16BE((fragment.more ? 0x2000 : 0) | (fragment.offset / 8), 6);
  }
  header[8] = packet.ttl ?? DEFAULT_TTL;
  header[9] = packet.protocol;
  header.set(addressBytes(packet.source), 12);
  header.set(addressBytes(packet.destination), 16);
  header.set(options, 20);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, segment]);
}

function encodeIpv6(packet: Packet, segment: Buffer): Buffer {
  const header = Buffer.alloc(IPV6_BYTES);
  header.writeUInt32BE(((6 << 28) | ((packet.tos ?? 0) << 20)) >>> 0, 0);
  header.writeUInt16BE(Math.min(segment.length, 0xffff), 4);
  header[6] = packet.protocol;
  header[7] = packet.ttl ?? DEFAULT_TTL;
  header.set(addressBytes(packet.source), 8);
  header.set(addressBytes(packet.destination), 24);
  return Buffer.concat([header, segment]);
}

function encodeSegment(packet: Packet): Buffer {
  if (packet.tcp !== undefined) return encodeTcp(packet, packet.tcp);
  if (packet.udp !== undefined) return encodeUdp(packet, packet.udp);
  if (packet.icmp !== undefined) return encodeIcmp(packet, packet.icmp);
  return Buffer.from(packet.payload);
}

function encodeTcp({ source, destination, protocol, payload }: Packet, tcp: TcpHeader): Buffer {
  const { options = new Uint8Array(0) } = tcp;
  const segment = Buffer.alloc(20 + options.length + payload.length);
  segment.writeUInt16BE(tcp.sourcePort, 0);
  segment.writeUInt16BE(tcp.destinationPort, 2);
  segment.writeUInt32BE(tcp.sequence ?? 1, 4);
  segment.writeUInt32BE(tcp.acknowledgement ?? 0, 8);
  segment[12] = ((20 + options.length) / 4) << 4;
  segment[13] = tcp.flags;
  segment.writeUInt16BE(tcp.window ?? DEFAULT_WINDOW, 14);
  segment.set(options, 20);
  segment.set(payload, 20 + options.length);
  segment.writeUInt16BE(transportChecksum(source, destination, protocol, segment), 16);
  return segment;
}

function encodeUdp({ source, destination, protocol, payload }: Packet, udp: UdpHeader): Buffer {
  const segment = Buffer.alloc(8 + payload.length);
  segment.writeUInt16BE(udp.sourcePort, 0);
  segment.writeUInt16BE(udp.destinationPort, 2);
  segment.writeUInt16BE(Math.min(segment.length, 0xffff), 4);
  segment.set(payload, 8);
  // Zero would say that there is no checksum.
  segment.writeUInt16BE(transportChecksum(source, destination, protocol, segment) || 0xffff, 6);
  return segment;
}

function encodeIcmp({ source, destination, protocol, payload }: Packet, icmp: IcmpHeader): Buffer {
  const segment = Buffer.alloc(8 + payload.length);
  segment[0] = icmp.type;
  segment[1] = icmp.code;
  if (icmp.rest !== undefined) segment.set(icmp.rest, 4);
  segment.set(payload, 8);
  const sum = source.family === 4 ? checksum(segment) : transportChecksum(source, destination, protocol, segment);
  segment.writeUInt16BE(sum, 2);
  return segment;
}

/**
 * Reads the bytes of a packet. Checksums are not looked at; a transport header that is cut stays in the payload.
 * @throws PosternError `invalid` when it is no IP packet.
 */
export function decodePacket(bytes: Uint8Array): Packet {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = (data[0] ?? 0) >> 4;
  if (version === 4) return decodeIpv4(data);
  if (version === 6) return decodeIpv6(data);
  throw notIp('its first four bits are neither 4 nor 6');
}

function decodeIpv4(data: Buffer): Packet {
  const headerBytes = ((data[0] as number) & 15) * 4;
  if (headerBytes < 20 || data.length < headerBytes) throw notIp('its IPv4 header is cut');
  const total = data.readUInt16BE(2);
  if (total < headerBytes || total > data.length)
    throw notIp(`it says that it has ${total} bytes, and has ${data.length}`);
  const fragmentWord = data.readUInt16BE(6);
  const offset = (fragmentWord & 0x1fff) * 8;
  const more = (fragmentWord & 0x2000) !== 0;
  const protocol = data[9] as number;
  const packet: Mutable<Packet> = {
    source: { family: 4, value: BigInt(data.readUInt32BE(12)) },
    destination: { family: 4, value: BigInt(data.readUInt32BE(16)) },
    protocol,
    ttl: data[8] as number,
    tos: data[1] as number,
    ...decodeSegment(protocol, data.subarray(headerBytes, total), offset === 0),
  };
  if (offset > 0 || more) packet.fragment = { id: data.readUInt16BE(4), offset, more };
  if (headerBytes > 20) packet.options = new Uint8Array(data.subarray(20, headerBytes));
  return packet;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Extension headers whose length is in units of 8 bytes behind the first 8: hop-by-hop, routing, destination options. */
const ipv6Extensions: ReadonlySet<number> = new Set([0, 43, 60]);
const IPV6_FRAGMENT = 44;

function decodeIpv6(data: Buffer): Packet {
  if (data.length < IPV6_BYTES) throw notIp('its IPv6 header is cut');
  const end = IPV6_BYTES + data.readUInt16BE(4);
  if (end > data.length) throw notIp(`it says that it has ${end} bytes, and has ${data.length}`);
  let protocol = data[6] as number;
  let at = IPV6_BYTES;
  let first = true;
  while (at + 8 <= end && (ipv6Extensions.has(protocol) || protocol === IPV6_FRAGMENT)) {
    if (protocol === IPV6_FRAGMENT) first = data.readUInt16BE(at + 2) >> 3 === 0;
    const length = protocol === IPV6_FRAGMENT ? 8 : ((data[at + 1] as number) + 1) * 8;
    protocol = data[at] as number;
    at += length;
  }
  if (at > end) throw notIp('an extension header is cut');
  return {
    source: addressFromBytes(data.subarray(8, 24)),
    destination: addressFromBytes(data.subarray(24, 40)),
    protocol,
    ttl: data[7] as number,
    tos: (data.readUInt16BE(0) >> 4) & 0xff,
    ...decodeSegment(protocol, data.subarray(at, end), first),
  };
}

type Segment = Pick<Packet, 'tcp' | 'udp' | 'icmp' | 'payload'>;

function decodeSegment(protocol: number, segment: Buffer, isFirst: boolean): Segment {
  if (isFirst && protocol === PROTOCOL.TCP && segment.length >= 20) {
    const headerBytes = ((segment[12] as number) >> 4) * 4;
    if (headerBytes >= 20 && headerBytes <= segment.length) return decodeTcp(segment, headerBytes);
  }
  if (isFirst && (protocol === PROTOCOL.UDP || protocol === PROTOCOL.UDPLITE) && segment.length >= 8) {
    const udp = { sourcePort: segment.readUInt16BE(0), destinationPort: segment.readUInt16BE(2) };
    return { udp, payload: new Uint8Array(segment.subarray(8)) };
  }
  if (isFirst && (protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6) && segment.length >= 8) {
    const [type, code] = [segment[0] as number, segment[1] as number];
    const icmp = { type, code, rest: new Uint8Array(segment.subarray(4, 8)) };
    return { icmp, payload: new Uint8Array(segment.subarray(8)) };
  }
  return { payload: new Uint8Array(segment) };
}

function decodeTcp(segment: Buffer, headerBytes: number): Segment {
  const tcp: Mutable<TcpHeader> = {
    sourcePort: segment.readUInt16BE(0),
    destinationPort: segment.readUInt16BE(2),
    sequence: segment.readUInt32BE(4),
    acknowledgement: segment.readUInt32BE(8),
    flags: segment[13] as number,
    window: segment.readUInt16BE(14),
  };
  if (headerBytes > 20) tcp.options = new Uint8Array(segment.subarray(20, headerBytes));
  return { tcp, payload: new Uint8Array(segment.subarray(headerBytes)) };
}

function notIp(why: string): PosternError {
  return new PosternError('invalid', `this is no IP packet: ${why}`);
}

/** The ports of a TCP or UDP packet. */
export function portsOf({
  tcp,
  udp,
}: Packet): { readonly sourcePort: number; readonly destinationPort: number } | undefined {
  return tcp ?? udp;
}

/** `syn,ack`; `none`. */
export function flagNames(flags: number): string {
  return TCP_FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0).join(',') || 'none';
}
