/** Floods of TCP SYNs for tests: crafted here, sent raw out of a namespace that the tests made. */

import { setImmediate } from 'node:timers/promises';
import { RawSender, SEND_BATCH } from '../../src/kernel/raw-sender.js';
import { type Address, addressBytes } from '../../src/net/address.js';
import { checksumOf, sumWords } from '../../src/wire/checksum.js';

const TCP = 6;
const SYN = 2;

export interface Flood {
  /** The base of 256 source addresses; the last byte varies. */
  readonly from: Address;
  readonly to: Address;
  readonly port: number;
  readonly packets: number;
  /** Pace; absent: as fast as it goes. */
  readonly perSecond?: number;
}

/** Sends SYNs from many addresses and ports; answers how many left. */
export async function flood(namespace: string, { from, to, port, packets, perSecond }: Flood): Promise<number> {
  const sender = new RawSender(namespace);
  const packet = synTemplate(from, to, port);
  const start = performance.now();
  try {
    for (let index = 0; index < packets; index++) {
      writeSyn(packet, from.family, index);
      sender.queue(packet);
      if (index % SEND_BATCH !== SEND_BATCH - 1) continue;
      sender.flush();
      if (perSecond === undefined) {
        if (index % (SEND_BATCH * 16) === SEND_BATCH * 16 - 1) await setImmediate();
        continue;
      }
      while (((performance.now() - start) * perSecond) / 1000 < index) await setImmediate();
    }
    sender.flush();
    return sender.counts.sent;
  } finally {
    sender.close();
  }
}

function synTemplate(from: Address, to: Address, port: number): Buffer {
  const four = from.family === 4;
  const tcp = four ? 20 : 40;
  const packet = Buffer.alloc(tcp + 20);
  if (four) {
    packet.writeUInt32BE(0x45000028, 0);
    packet.writeUInt32BE((64 << 24) | (TCP << 16), 8);
    packet.set(addressBytes(from), 12);
    packet.set(addressBytes(to), 16);
  } else {
    packet.writeUInt32BE(0x60000000, 0);
    packet.writeUInt16BE(20, 4);
    packet.writeUInt16BE((TCP << 8) | 64, 6);
    packet.set(addressBytes(from), 8);
    packet.set(addressBytes(to), 24);
  }
  packet.writeUInt16BE(port, tcp + 2);
  packet.writeUInt16BE((5 << 12) | SYN, tcp + 12);
  packet.writeUInt16BE(65_535, tcp + 14);
  return packet;
}

function writeSyn(packet: Buffer, family: 4 | 6, index: number): void {
  const tcp = family === 4 ? 20 : 40;
  const [source, end] = family === 4 ? [12, 20] : [8, 40];
  packet[family === 4 ? 15 : 23] = index & 255;
  packet.writeUInt16BE(1024 + ((index >> 8) % 60_000), tcp);
  packet.writeUInt32BE(index >>> 0, tcp + 4);
  packet.writeUInt16BE(0, tcp + 16);
  const pseudo = sumWords(packet, source, end, TCP + 20);
  packet.writeUInt16BE(checksumOf(sumWords(packet, tcp, tcp + 20, pseudo)), tcp + 16);
}
