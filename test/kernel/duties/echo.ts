/** Answers every TCP SYN as if a server accepted it, with an empty window. For tests of the packet worker. */

import type { CreateDuty } from '../../../src/kernel/packet-duty.js';
import { checksumOf, sumWords } from '../../../src/wire/checksum.js';

const TCP = 6;
const TCP_BYTES = 20;
const SYN_ACK = 0x12;

export const createDuty: CreateDuty = () => ({
  packet(packet, out) {
    const request = packet.payload;
    const four = (request[0] as number) >> 4 === 4;
    const ipBytes = four ? ((request[0] as number) & 15) * 4 : 40;
    const memory = out.reply(four ? 4 : 6, (four ? 20 : 40) + TCP_BYTES);
    if (memory === undefined) return;
    const reply = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    const tcp = four ? ipv4(request, reply) : ipv6(request, reply);
    reply.writeUInt16BE(request.readUInt16BE(ipBytes + 2), tcp);
    reply.writeUInt16BE(request.readUInt16BE(ipBytes), tcp + 2);
    reply.writeUInt32BE(1, tcp + 4);
    reply.writeUInt32BE((request.readUInt32BE(ipBytes + 4) + 1) >>> 0, tcp + 8);
    reply.writeUInt16BE((5 << 12) | SYN_ACK, tcp + 12);
    reply.writeUInt16BE(0, tcp + 14);
    reply.writeUInt32BE(0, tcp + 16);
    const addresses = four ? [12, 20] : [8, 40];
    const pseudo = sumWords(reply, addresses[0] as number, addresses[1] as number, TCP + TCP_BYTES);
    reply.writeUInt16BE(checksumOf(sumWords(reply, tcp, tcp + TCP_BYTES, pseudo)), tcp + 16);
  },
});

/** Answers where the TCP header starts. */
function ipv4(request: Buffer, reply: Buffer): number {
  reply.writeUInt32BE(0x45000000 | (20 + TCP_BYTES), 0);
  reply.writeUInt32BE(0x00004000, 4);
  reply.writeUInt32BE((64 << 24) | (TCP << 16), 8);
  request.copy(reply, 12, 16, 20);
  request.copy(reply, 16, 12, 16);
  return 20;
}

function ipv6(request: Buffer, reply: Buffer): number {
  reply.writeUInt32BE(0x60000000, 0);
  reply.writeUInt16BE(TCP_BYTES, 4);
  reply.writeUInt16BE((TCP << 8) | 64, 6);
  request.copy(reply, 8, 24, 40);
  request.copy(reply, 24, 8, 24);
  return 40;
}
