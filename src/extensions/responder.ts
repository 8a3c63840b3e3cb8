/**
 * What the kernel has no answer for goes to the daemon as a copy, and is dropped. The log prefix says how it is to be
 * answered. Without the daemon the packet is dropped all the same.
 */

import { drop, fib, log, match, matchBits, meta, notrack } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import type { Line } from './fragment.js';
import { type ResponderMode, responderModes } from './models/responder.js';
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

/** How a copy is answered, and on which way. */
export interface ResponderWay {
  readonly mode: ResponderMode;
  /**
   * The kernel would answer by the device that the packet came in by: the daemon may turn the frame round, and spares
   * the kernel the look for a route and the rules of output.
   */
  readonly back: boolean;
}

const back = ' back';

const ways: ReadonlyMap<string, ResponderWay> = new Map(
  responderModes.flatMap((mode): [string, ResponderWay][] => [
    [mode, { mode, back: false }],
    [mode + back, { mode, back: true }],
  ]),
);

/** What the prefix of a copy says: `tarpit`, `tarpit back`. Undefined for one of no trap. */
export const responderWay = (prefix: string): ResponderWay | undefined => ways.get(prefix);

/** The ends of a chain: the daemon answers. @param matches what is answered; nothing: everything */
export function toResponder(mode: ResponderMode, site: Site, matches: readonly Statement[] = []): readonly Line[] {
  const group = site.nflogGroup(responderDuty);
  const { mask } = site.markBits('packet', answersOwner, 1);
  const spec: ResponderSpec = { mark: mask };
  site.duty({ kind: responderDuty, name: responderDuty, nflogGroup: group, spec });
  const base = { type: 'filter', hook: 'output', priority: -300, policy: 'accept' } as const;
  site.sharedBaseChain('answers', base, [{ statements: [matchBits(meta('mark'), mask, mask), notrack] }], 'inet');
  const copied = (prefix: string): readonly Statement[] => [log({ prefix, group, snaplen: headerBytes }), drop];
  // At ingress the answer goes back as those of the reflector do.
  if (site.hooks.includes('ingress')) return [{ statements: [...matches, ...copied(mode + back)] }];
  return [
    { statements: [...matches, ...comesBack, ...copied(mode + back)] },
    { statements: [...matches, ...copied(mode)] },
  ];
}

/** The frame is for this host alone, the route to the sender leads by the device, and no IPsec is in between. */
const comesBack: readonly Statement[] = [
  match(meta('pkttype'), 'host'),
  match(meta('iiftype'), 'ether'),
  match(fib(['saddr', 'iif'], 'oif'), 0, '!='),
  match(meta('ipsec'), false),
];
