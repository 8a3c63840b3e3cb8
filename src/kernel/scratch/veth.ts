/**
 * Virtual Ethernet pairs in place of taps, for processes that may not open /dev/net/tun: packets go in and come out by a
 * packet socket on the other end of the pair. Twice as slow, and only for devices with Ethernet headers.
 */

import { PosternError } from '../../errors.js';
import { IFF } from '../../wire/rtnetlink-setup.js';
import { AF, CallError, fixedBuffer, lastErrno, libc, SOCK, SOCKADDR_LL } from '../layouts.js';
import type { ScratchDevice } from '../scratch.js';
import { HeldDevice } from './device.js';

/** ETH_P_ALL, in network order. */
const ALL_PROTOCOLS = 0x0300;
/** Indexes of the other ends: above those of any host. */
const FIRST_PEER_INDEX = 1 << 20;

/** Makes the pair and brings its other end up, in the thread's namespace. */
export interface PairMaker {
  make(device: { name: string; index: number }, peer: { name: string; index: number }): void;
  up(index: number, flags: number): void;
}

/** @throws PosternError `unsupported` for a device without Ethernet headers, `system` when the kernel refuses. */
export function openVeth(device: ScratchDevice, maker: PairMaker): HeldDevice {
  const { name, index, mac } = device;
  if (mac === undefined) {
    throw new PosternError(
      'unsupported',
      `device ${name} has no Ethernet headers, and can't be made without /dev/net/tun: run this as root`,
    );
  }
  const peer = { name: `peer${index}`, index: FIRST_PEER_INDEX + index };
  maker.make({ name, index }, peer);
  // Nothing on this side answers, asks or takes part.
  maker.up(peer.index, IFF.UP | IFF.NOARP);
  return new HeldDevice(device, openOn(peer.index));
}

function openOn(index: number): number {
  const fd = libc.socket(AF.PACKET, SOCK.RAW | SOCK.CLOEXEC | SOCK.NONBLOCK, ALL_PROTOCOLS);
  if (fd < 0) throw new PosternError('system', `packet socket: ${new CallError('socket', lastErrno()).message}`);
  const address = fixedBuffer(SOCKADDR_LL.BYTES);
  address.writeUInt16LE(AF.PACKET, SOCKADDR_LL.FAMILY);
  address.writeUInt16LE(ALL_PROTOCOLS, SOCKADDR_LL.PROTOCOL);
  address.writeInt32LE(index, SOCKADDR_LL.INDEX);
  if (libc.bind(fd, address, address.length) === 0) return fd;
  const errno = lastErrno();
  libc.close(fd);
  throw new PosternError('system', `packet socket: ${new CallError('bind', errno).message}`);
}
