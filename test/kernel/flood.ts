/**
 * Sends forged datagrams, each from a source at random, as fast as asked for: `flood.js DEVICE TARGET PORT PER_SECOND
 * SECONDS`, in the namespace that it is started in. TARGET is a neighbour (IPv4) that the host has spoken to. Prints how
 * many left, and in how many seconds.
 */

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  AF,
  addressOf,
  fixedBuffer,
  IFREQ,
  IOVEC,
  libc,
  MMSGHDR,
  MSGHDR,
  SOCK,
  SOCKADDR_LL,
} from '../../src/kernel/layouts.js';
import { parseAddress } from '../../src/net/address.js';
import { checksum } from '../../src/wire/checksum.js';
import { encodePacket, PROTOCOL } from '../../src/wire/packet.js';

const [device = '', target = '', port = '', perSecond = '', seconds = ''] = process.argv.slice(2);

/** The range that is kept for benchmarks (RFC 2544): 198.18.0.0/15. */
const firstSource = 0xc612_0000;
const sourceMask = 0x1_ffff;
const BATCH = 256;
const ETHERNET_BYTES = 14;
const IP_SUM = ETHERNET_BYTES + 10;
const IP_SOURCE = ETHERNET_BYTES + 12;
const UDP_SUM = ETHERNET_BYTES + 26;
const SOL_PACKET = 263;
const PACKET_QDISC_BYPASS = 20;
const SIOCGIFINDEX = 0x8933;

function macOf(address: string): Buffer {
  const line = readFileSync('/proc/self/net/arp', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${address} `));
  const [mac = ''] = /([0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(line ?? '') ?? [];
  if (mac === '') throw new Error(`nobody has spoken to ${address} yet`);
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function openDevice(): number {
  const fd = libc.socket(AF.PACKET, SOCK.RAW, 0);
  const request = fixedBuffer(IFREQ.BYTES);
  request.write(device, IFREQ.NAME);
  if (fd < 0 || libc.ioctl(fd, SIOCGIFINDEX, request) < 0) throw new Error(`no socket on ${device}`);
  const address = fixedBuffer(SOCKADDR_LL.BYTES);
  address.writeUInt16LE(AF.PACKET, SOCKADDR_LL.FAMILY);
  address.writeInt32LE(request.readInt32LE(IFREQ.VALUE), SOCKADDR_LL.INDEX);
  const on = fixedBuffer(4);
  on.writeInt32LE(1, 0);
  libc.setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, on, 4);
  if (libc.bind(fd, address, address.length) < 0) throw new Error(`no socket on ${device}`);
  return fd;
}

/** A frame without the source and the checksum of its header; the datagram has none, as UDP over IPv4 may. */
function frame(mac: Buffer): Buffer {
  const packet = encodePacket({
    source: parseAddress('0.0.0.0'),
    destination: parseAddress(target),
    protocol: PROTOCOL.UDP,
    udp: { sourcePort: 40_000, destinationPort: Number(port) },
    payload: Buffer.from(`${randomBytes(32).toString('hex')}\n`),
  });
  const bytes = Buffer.concat([mac, Buffer.alloc(6, 2), Buffer.of(8, 0), packet]);
  bytes.writeUInt16BE(0, IP_SUM);
  bytes.writeUInt16BE(0, UDP_SUM);
  return bytes;
}

const fd = openDevice();
const frames = Array.from({ length: BATCH }, () => frame(macOf(target)));
const frameBytes = frames[0]!.length;
const memory = fixedBuffer(BATCH * frameBytes);
const vectors = fixedBuffer(BATCH * IOVEC.BYTES);
const headers = fixedBuffer(BATCH * MMSGHDR.BYTES);
for (const [index, bytes] of frames.entries()) {
  memory.set(bytes, index * frameBytes);
  vectors.writeBigUInt64LE(addressOf(memory) + BigInt(index * frameBytes), index * IOVEC.BYTES + IOVEC.BASE);
  vectors.writeUInt32LE(frameBytes, index * IOVEC.BYTES + IOVEC.LENGTH);
  const header = index * MMSGHDR.BYTES;
  headers.writeBigUInt64LE(addressOf(vectors) + BigInt(index * IOVEC.BYTES), header + MSGHDR.IOV);
  headers.writeBigUInt64LE(1n, header + MSGHDR.IOV_COUNT);
}
/** Of the header without its source, not yet inverted. */
const headerSum = ~checksum(frames[0]!.subarray(ETHERNET_BYTES, ETHERNET_BYTES + 20)) & 0xffff;

let state = randomBytes(4).readUInt32LE(0) | 1;
/** Marsaglia's xorshift: quick, and random enough for who looks at hashes. */
function random(): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
}

function forge(index: number): void {
  const at = index * frameBytes;
  const source = (firstSource | (random() & sourceMask)) >>> 0;
  memory.writeUInt32BE(source, at + IP_SOURCE);
  const sum = headerSum + (source >>> 16) + (source & 0xffff);
  const folded = (sum & 0xffff) + (sum >>> 16);
  memory.writeUInt16BE(~((folded & 0xffff) + (folded >>> 16)) & 0xffff, at + IP_SUM);
}

const startedAt = performance.now();
const endsAt = startedAt + Number(seconds) * 1000;
let sent = 0;
let now = startedAt;
for (; now < endsAt; now = performance.now()) {
  const due = ((now - startedAt) / 1000) * Number(perSecond);
  if (sent >= due) continue;
  for (let index = 0; index < BATCH; index++) forge(index);
  const left = libc.sendmmsg(fd, headers, BATCH, 0);
  if (left > 0) sent += left;
}
process.stdout.write(`${sent} ${((now - startedAt) / 1000).toFixed(2)}\n`);
libc.close(fd);
