/** Sockets of a scratch host that wait for packets: with one behind its port, what the rules let in is answered. */

import { PosternError } from '../../errors.js';
import { type Address, formatAddress } from '../../net/address.js';
import { CallError, IPV6_V6ONLY, lastErrno, libc, SO, SOCK, SOL } from '../layouts.js';
import type { ScratchSocket } from '../scratch.js';
import { domainOf, setOption, socketName } from '../socket-options.js';

const BACKLOG = 128;
const anywhere: Address = { family: 6, value: 0n };

/**
 * Answers its descriptor.
 * @throws PosternError `invalid` when the host has no such address or the port is taken.
 */
export function openListener(socket: ScratchSocket): number {
  const { protocol, address, port } = socket;
  // Without an address it is `::`, which takes IPv4, too.
  const own = address ?? anywhere;
  const type = protocol === 'tcp' ? SOCK.STREAM : SOCK.DGRAM;
  const fd = libc.socket(domainOf(own.family), type | SOCK.CLOEXEC | SOCK.NONBLOCK, 0);
  if (fd < 0) throw failure('socket', socket);
  try {
    // A socket of the test before may still be closing.
    setOption(fd, SOL.SOCKET, SO.REUSEADDR, 1);
    if (address?.family === 6) setOption(fd, SOL.IPV6, IPV6_V6ONLY, 1);
    const name = socketName(own, port);
    if (libc.bind(fd, name, name.length) < 0) throw failure('bind', socket);
    if (protocol === 'tcp' && libc.listen(fd, BACKLOG) < 0) throw failure('listen', socket);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function failure(call: string, { protocol, address, port }: ScratchSocket): PosternError {
  const where = address === undefined ? port : `${formatAddress(address)} port ${port}`;
  const reason = new CallError(call, lastErrno()).message;
  return new PosternError('invalid', `nothing can listen on ${protocol} ${where} of this host (${reason})`);
}
