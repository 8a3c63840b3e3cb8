/** Packets of the host itself: raw sockets whose header is ours, with the mark, the device and the owner of the sender. */

import { PosternError } from '../../errors.js';
import { decodePacket } from '../../wire/packet.js';
import { CallError, errnoName, fixedBuffer, IPPROTO_RAW, lastErrno, libc, SO, SOCK, SOL } from '../layouts.js';
import type { Entry } from '../scratch.js';
import { domainOf, socketName } from '../socket-options.js';

type Sender = Extract<Entry, { local: unknown }>['local'];

/** Answers `uid` without changing it: an id that can't be. */
const ASK = 0xffff_ffff;

/**
 * Sends a packet out of this host.
 * @returns undefined when it went, or the name of the error: `EPERM` when a rule in output dropped it
 * @throws PosternError `unsupported` when it can't be sent as asked for.
 */
export function sendLocal(packet: Uint8Array, sender: Sender): string | undefined {
  const { destination } = decodePacket(packet);
  const name = socketName(destination, 0);
  const fd = openAs(domainOf(destination.family), sender.uid);
  try {
    if (sender.mark !== undefined) setNumber(fd, SO.MARK, sender.mark);
    if (sender.device !== undefined) setText(fd, SO.BINDTODEVICE, sender.device);
    const sent = libc.sendto(fd, packet, packet.length, 0, name, name.length);
    return sent < 0 ? errnoName(lastErrno()) : undefined;
  } finally {
    libc.close(fd);
  }
}

function openAs(family: number, uid: number | undefined): number {
  if (uid === undefined) return openRaw(family);
  const own = libc.setfsuid(uid);
  try {
    if (libc.setfsuid(ASK) !== uid) {
      throw new PosternError('unsupported', `a packet of user ${uid} can't be sent here: only root may take an owner`);
    }
    return openRaw(family);
  } finally {
    libc.setfsuid(own);
  }
}

function openRaw(family: number): number {
  const fd = libc.socket(family, SOCK.RAW | SOCK.CLOEXEC | SOCK.NONBLOCK, IPPROTO_RAW);
  if (fd < 0) throw new PosternError('system', `raw socket: ${new CallError('socket', lastErrno()).message}`);
  return fd;
}

function setNumber(fd: number, name: number, value: number): void {
  const option = fixedBuffer(4);
  option.writeUInt32LE(value >>> 0);
  set(fd, name, option);
}

function setText(fd: number, name: number, value: string): void {
  const option = fixedBuffer(Buffer.byteLength(value) + 1);
  option.write(value);
  set(fd, name, option);
}

function set(fd: number, name: number, option: Buffer): void {
  if (libc.setsockopt(fd, SOL.SOCKET, name, option, option.length) === 0) return;
  throw new PosternError('system', `raw socket: ${new CallError('setsockopt', lastErrno()).message}`);
}
