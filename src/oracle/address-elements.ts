/** Elements that have an address beside something else in their key: `address . protocol . port`, `interface . address`. */

import type { ManifestSet } from '../compiler/plan.js';
import type { ElementState } from '../kernel/kernel.js';
import type { LiveSets } from '../kernel/live-sets.js';
import { type Address, addressBytes } from '../net/address.js';
import { formatProtocol } from '../net/protocol.js';
import { decodeKey, keyLength, keyParts } from '../nft/key.js';
import { expressionText } from './memory.js';

export interface FoundElement {
  /** Its whole key, for people: `203.0.113.0/24, tcp, port 22`. */
  readonly text: string;
  readonly state: ElementState;
}

export interface FoundElements {
  readonly elements: readonly FoundElement[];
  /** Others that there are beside these. */
  readonly more: number;
}

/** Elements of one set that are told. */
const MOST_TOLD = 100;

export const addressTypeOf = ({ family }: Address): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');

/** Is an address one of several parts of the set's keys, all of known types? */
export const hasPartOf = ({ key }: ManifestSet, address: Address): boolean =>
  key.length > 1 && key.includes(addressTypeOf(address)) && keyLength(key) !== undefined;

/**
 * The elements with a part that is the address, or a prefix or range around it. Reads the whole set: the kernel finds an
 * element by all parts of its key only.
 * @throws PosternError when the kernel can't be asked.
 */
export function elementsWith(sets: LiveSets, set: ManifestSet, address: Address): FoundElements {
  const elements: FoundElement[] = [];
  let more = 0;
  const bytes = addressBytes(address);
  const places = set.key.flatMap((type, index) => (type === addressTypeOf(address) ? [index] : []));
  for (const state of sets.elements(set)) {
    const [first, last] = [keyParts(set.key, state.key), keyParts(set.key, state.keyEnd ?? state.key)];
    if (first === undefined || last === undefined) continue;
    const isAround = (index: number): boolean =>
      Buffer.compare(first[index]!, bytes) <= 0 && Buffer.compare(last[index]!, bytes) >= 0;
    if (!places.some(isAround)) continue;
    if (elements.length === MOST_TOLD) more++;
    else elements.push({ text: set.key.map((type, at) => partText(type, first[at]!, last[at]!)).join(', '), state });
  }
  return { elements, more };
}

const called: Readonly<Record<string, string>> = {
  inet_service: 'port',
  ifname: 'interface',
  icmp_type: 'icmp type',
  icmpv6_type: 'icmpv6 type',
  packet_length: 'length',
  mark: 'mark',
  uid: 'uid',
  gid: 'gid',
};

function partText(type: string, key: Uint8Array, keyEnd: Uint8Array): string {
  const value = decodeKey([type], { key, keyEnd })!;
  if (type === 'inet_proto' && typeof value === 'number') return formatProtocol(value);
  if (type === 'mark' && typeof value === 'number') return `mark 0x${value.toString(16)}`;
  const word = called[type];
  return word === undefined ? expressionText(value) : `${word} ${expressionText(value)}`;
}
