/** Sockets of a test's host: `tcp 22`, `udp 192.0.2.1:53`, `tcp [2001:db8::1]:443`. */

import type { ScratchSocket } from '../../kernel/scratch.js';
import { parseAddress } from '../../net/address.js';
import { parsePort } from '../../net/port.js';

/** @throws Error that says what is wrong with it. */
export function parseSocket(text: string): ScratchSocket {
  const found = /^(tcp|udp)\s+(?:(?:\[([^\]]*)\]|([^\s:[\]]+)):)?([^\s:[\]]+)$/.exec(text.trim());
  if (found === null) throw new RangeError(`"${text}" is no socket; write it as tcp 22 or udp 192.0.2.1:53`);
  const [, protocol, v6, v4, port] = found as unknown as [string, 'tcp' | 'udp', string?, string?, string?];
  const address = v6 ?? v4;
  return {
    protocol,
    ...(address !== undefined && { address: parseAddress(address) }),
    port: parsePort(port!, protocol),
  };
}
