/**
 * What the kernel has no answer for goes to the daemon as a copy, and is dropped. The log prefix says how it is to be
 * answered. Without the daemon the packet is dropped all the same.
 */

import { drop, log, matchBits, meta, notrack } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import type { ResponderMode } from './models/responder.js';
import type { Site } from './site.js';

/** IPv6 and TCP headers with all options that a TCP header has room for. */
export const headerBytes = 128;

/** The kind of the duty, and the owner of its group. */
export const responderDuty = 'responder';

/** The owner of the mark that the daemon's answers have. */
export const answersOwner = 'answers of the daemon';

/** What the daemon has to know. */
export interface ResponderSpec {
  /** Of its answers: conntrack doesn't see them, and output lets them pass. */
  readonly mark: number;
}

/** The end of a rule: the daemon answers. */
export function toResponder(mode: ResponderMode, site: Site): readonly Statement[] {
  const group = site.nflogGroup(responderDuty);
  const { mask } = site.markBits('packet', answersOwner, 1);
  const spec: ResponderSpec = { mark: mask };
  site.duty({ kind: responderDuty, name: responderDuty, nflogGroup: group, spec });
  const base = { type: 'filter', hook: 'output', priority: -300, policy: 'accept' } as const;
  site.sharedBaseChain('answers', base, [{ statements: [matchBits(meta('mark'), mask, mask), notrack] }], 'inet');
  return [log({ prefix: mode, group, snaplen: headerBytes }), drop];
}
