/** The packet's addresses as nft names them. */

import type { Family } from '../net/address.js';
import { payload } from '../nft/build.js';
import type { Expression } from '../nft/model.js';

/** `ip saddr`, `ip6 daddr` … */
export const addressOf = (side: 'source' | 'destination', family: Family): Expression =>
  payload(family === 4 ? 'ip' : 'ip6', side === 'source' ? 'saddr' : 'daddr');

/** The type of a set of addresses. */
export const addressType = (family: Family): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr');
