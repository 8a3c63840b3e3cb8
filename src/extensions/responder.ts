/**
 * What the kernel has no answer for goes to the daemon as a copy, and is dropped. The log prefix says how it is to be
 * answered. Without the daemon the packet is dropped all the same.
 */

import { drop, log } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import type { ResponderMode } from './models/responder.js';
import type { Site } from './site.js';

/** IPv6 and TCP headers with all options that a TCP header has room for. */
const headerBytes = 128;

/** The kind of the duty, and the owner of its group. */
export const responderDuty = 'responder';

/** The end of a rule: the daemon answers. */
export function toResponder(mode: ResponderMode, site: Site): readonly Statement[] {
  const group = site.nflogGroup(responderDuty);
  site.duty({ kind: responderDuty, name: responderDuty, nflogGroup: group, spec: {} });
  return [log({ prefix: mode, group, snaplen: headerBytes }), drop];
}
