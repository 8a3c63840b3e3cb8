/** The host's TCP connections, from /proc: those that conntrack doesn't know are seen here alone. */

import { readFileSync } from 'node:fs';
import { type Address, addressFromBytes } from '../net/address.js';
import { inNamespace } from './netns.js';

export interface LiveSocket {
  readonly local: { readonly address: Address; readonly port: number };
  readonly remote: { readonly address: Address; readonly port: number };
  /** The other side opened it: this one listens on the port. */
  readonly inbound: boolean;
}

const ESTABLISHED = '01';
const LISTEN = '0A';
const MAPPED = 0xffffn;

/** Established connections of a network namespace. @throws PosternError `not-found`, `system` */
export function readLiveSockets(namespace?: string): LiveSocket[] {
  const rows = inNamespace(namespace, () => ['tcp', 'tcp6'].flatMap(readTable));
  const listening = new Set(rows.filter(({ state }) => state === LISTEN).map(({ local }) => local.port));
  return rows
    .filter(({ state }) => state === ESTABLISHED)
    .map(({ local, remote }) => ({ local, remote, inbound: listening.has(local.port) }));
}

interface Row {
  readonly local: LiveSocket['local'];
  readonly remote: LiveSocket['local'];
  readonly state: string;
}

function readTable(name: string): Row[] {
  let text: string;
  try {
    text = readFileSync(`/proc/thread-self/net/${name}`, 'utf8');
  } catch {
    // A host without IPv6.
    return [];
  }
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local, remote, state] = line.trim().split(/\s+/);
      return local === undefined || remote === undefined || state === undefined
        ? []
        : [{ local: endOf(local), remote: endOf(remote), state }];
    });
}

/** `0100007F:0016`: words of the address in the host's order, then the port. */
function endOf(text: string): LiveSocket['local'] {
  const [hex = '', port = '0'] = text.split(':');
  const bytes = Buffer.from(hex, 'hex').swap32();
  const address = addressFromBytes(Uint8Array.from(bytes));
  const mapped = address.family === 6 && address.value >> 32n === MAPPED;
  return {
    address: mapped ? { family: 4, value: address.value & 0xffff_ffffn } : address,
    port: Number.parseInt(port, 16),
  };
}
