/** What the daemon is handed of knocks: copies of packets, bounded where anybody can send them. */

import { ct, drop, fib, goto, limit, log, match, matchAny, payload, setRef, update } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { addressOf } from './address-field.js';
import type { Line } from './fragment.js';
import { knockGroup, knockKnown } from './knock-names.js';
import { families, isIn, memory } from './knock-sets.js';
import type { Ground } from './site.js';

/** Knocks are heard before anything is dropped, so that several can share a port. */
export const listening = { type: 'filter', hook: 'input', priority: -2, policy: 'accept' } as const;
export const silencing = { ...listening, priority: -1 } as const;

/** Signed datagrams are taken before connections are looked up, which is most of what one that is forged costs. */
const atTheDoor = { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' } as const;

export const isKnown: Statement = matchAny(ct('state'), ['established', 'related']);
export const isNew: Statement = matchAny(ct('state'), ['new', 'invalid', 'untracked']);

/** Bytes of a copy: the longest headers and a datagram of either version. */
export const knockCopyBytes = 512;

export const tell = (prefix: string, ground: Ground): Statement =>
  log({ group: ground.nflogGroup(knockGroup), prefix, snaplen: knockCopyBytes });

const udpHeaderBytes = 8;

/** One source gets through with a datagram a second, so that a flood from it costs the daemon nothing. */
const perSource = { rate: 1, per: 'second', burst: 20, inv: true } as const;
/** What all sources together may cost the daemon: more would queue up before it on a busy machine. */
const forAll = { rate: 5_000, per: 'second', burst: 1_000 } as const;
/** Beside it, for those who have signed before. */
const forKnown = { rate: 1_000, per: 'second', burst: 1_000 } as const;
/** Tokens of a source are all back by then. */
const perSourceMs = 60_000;

export interface Datagram {
  readonly port: number;
  /** Of the payload; any other length is dropped in the kernel. In UDP-Lite no header tells it: there the daemon looks. */
  readonly bytes: number;
  /** As the copies' prefix begins. */
  readonly kind: 'spa' | 'spa2';
}

export function compileDatagram(name: string, { port, bytes, kind }: Datagram, ground: Ground): void {
  const asked = ground.chain('datagram', [
    ...families.flatMap((family): Line[] => {
      const seen = { ...memory(name, 'asked', 65_536, family), variant: JSON.stringify(perSource) };
      const source = addressOf('source', family);
      const spend = update(ground.set(seen), source, { timeoutMs: perSourceMs, stmt: [limit(perSource)] });
      return [
        { family, statements: [spend, drop] },
        { family, statements: [match(source, setRef(ground.set(seen)), '!='), ground.overflow(seen)] },
      ];
    }),
    ...families.map((family): Line => {
      const known = memory(name, knockKnown, 65_536, family);
      return {
        family,
        statements: [isIn(known, family, ground), limit(forKnown), tell(`${kind}:${name}`, ground), drop],
      };
    }),
    { statements: [limit(forAll), tell(`${kind}:${name}`, ground), drop] },
    { statements: [drop] },
  ]);
  const [udp, lite] = ['udp', 'udplite'].map((protocol) => match(payload(protocol, 'dport'), port)) as [
    Statement,
    Statement,
  ];
  const isHere = match(fib(['daddr'], 'type'), 'local');
  ground.baseChain('silence', atTheDoor, [
    { statements: [udp, isHere, match(payload('udp', 'length'), udpHeaderBytes + bytes), goto(asked)] },
    { statements: [udp, isHere, drop] },
    { statements: [lite, isHere, goto(asked)] },
  ]);
}
