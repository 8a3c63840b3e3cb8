/** Sockets of a scratch host that wait for packets: with one behind its port, what the rules let in is answered. */

import { PosternError } from '../../errors.js';
import { addressBytes, formatAddress } from '../../net/address.js';
import {
  AF,
  CallError,
  fixedBuffer,
  IPV6_V6ONLY,
  lastErrno,
  libc,
  SO,
  SOCK,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOL,
} from '../layouts.js';
import type { ScratchSocket } from '../scratch.js';

const BACKLOG = 128;

/**
 * Answers its descriptor.
 * @throws PosternError `invalid` when the host has no such address or the port is taken.
 */
export function openListener(socket: ScratchSocket): number {
  const { protocol, address } = socket;
  const domain = address?.family === 4 ? AF.INET : AF.INET6;
  const type = protocol === 'tcp' ? SOCK.STREAM : SOCK.DGRAM;
  const fd = libc.socket(domain, type | SOCK.CLOEXEC | SOCK.NONBLOCK, 0);
  if (fd < 0) throw failure('socket', socket);
  try {
    // A socket of the test before may still be closing.
    setOne(fd, SOL.SOCKET, SO.REUSEADDR);
    if (address?.family === 6) setOne(fd, SOL.IPV6, IPV6_V6ONLY);
    const name = nameOf(socket);
    if (libc.bind(fd, name, name.length) < 0) throw failure('bind', socket);
    if (protocol === 'tcp' && libc.listen(fd, BACKLOG) < 0) throw failure('listen', socket);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Without an address it is `::`, which takes IPv4, too. */
function nameOf({ address, port }: ScratchSocket): Buffer {
  const layout = address?.family === 4 ? SOCKADDR_IN : SOCKADDR_IN6;
  const name = fixedBuffer(layout.BYTES);
  name.writeUInt16LE(address?.family === 4 ? AF.INET : AF.INET6, layout.FAMILY);
  name.writeUInt16BE(port, layout.PORT);
  if (address !== undefined) name.set(addressBytes(address), layout.ADDRESS);
  return name;
}

function setOne(fd: number, level: number, name: number): void {
  const option = fixedBuffer(4);
  option.writeInt32LE(1);
  libc.setsockopt(fd, level, name, option, option.length);
}

function failure(call: string, { protocol, address, port }: ScratchSocket): PosternError {
  const where = address === undefined ? port : `${formatAddress(address)} port ${port}`;
  const reason = new CallError(call, lastErrno()).message;
  return new PosternError('invalid', `nothing can listen on ${protocol} ${where} of this host (${reason})`);
}
