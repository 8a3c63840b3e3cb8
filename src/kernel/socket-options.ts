/** What all kinds of sockets are opened and asked with: options, names, and what they have dropped. */

import { type Address, addressBytes, type Family } from '../net/address.js';
import { AF, CallError, fixedBuffer, lastErrno, libc, MEMINFO, SO, SOCKADDR_IN, SOCKADDR_IN6, SOL } from './layouts.js';

/** Overwritten by each call, none of which waits. */
const meminfo = fixedBuffer(MEMINFO.BYTES);
const meminfoBytes = fixedBuffer(4);

/** @throws CallError */
export function setOption(fd: number, level: number, name: number, value: number): void {
  const option = fixedBuffer(4);
  option.writeInt32LE(value);
  if (libc.setsockopt(fd, level, name, option, option.length) < 0) throw new CallError('setsockopt', lastErrno());
}

/** Without CAP_NET_ADMIN (in a user namespace, too) the kernel grants what net.core.rmem_max allows. @throws CallError */
export function forceReceiveBuffer(fd: number, bytes: number): void {
  forceBuffer(fd, { forced: SO.RCVBUFFORCE, granted: SO.RCVBUF }, bytes);
}

/** As `forceReceiveBuffer`, with net.core.wmem_max. @throws CallError */
export function forceSendBuffer(fd: number, bytes: number): void {
  forceBuffer(fd, { forced: SO.SNDBUFFORCE, granted: SO.SNDBUF }, bytes);
}

function forceBuffer(
  fd: number,
  { forced, granted }: { readonly forced: number; readonly granted: number },
  bytes: number,
) {
  try {
    setOption(fd, SOL.SOCKET, forced, bytes);
  } catch {
    setOption(fd, SOL.SOCKET, granted, bytes);
  }
}

/** Datagrams lost because the receive buffer was full. @throws CallError */
export function droppedDatagrams(fd: number): number {
  meminfoBytes.writeUInt32LE(MEMINFO.BYTES);
  if (libc.getsockopt(fd, SOL.SOCKET, SO.MEMINFO, meminfo, meminfoBytes) < 0) {
    throw new CallError('getsockopt', lastErrno());
  }
  return meminfo.readUInt32LE(MEMINFO.DROPS);
}

export const domainOf = (family: Family): number => (family === 4 ? AF.INET : AF.INET6);

/** A sockaddr_in or sockaddr_in6; in one for raw sockets the port is 0. */
export function socketName(address: Address, port: number): Buffer {
  const layout = address.family === 4 ? SOCKADDR_IN : SOCKADDR_IN6;
  const name = fixedBuffer(layout.BYTES);
  name.writeUInt16LE(domainOf(address.family), layout.FAMILY);
  name.writeUInt16BE(port, layout.PORT);
  name.set(addressBytes(address), layout.ADDRESS);
  return name;
}
