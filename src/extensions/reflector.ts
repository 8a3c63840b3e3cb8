/**
 * Packets turned round by rewriting them where they are. nft copies one field to another but can't exchange two: the
 * frame's source address is the place to put things aside, once it has been copied to the destination. Exchanging
 * addresses, ports or sequence numbers changes no checksum, so that raw copies do; all else are typed writes, which
 * keep the checksums right.
 */

import type { Family } from '../net/address.js';
import {
  and,
  concat,
  goto,
  jump,
  mangle,
  match,
  payload,
  raw,
  resetTcpOption,
  returnVerdict,
  tcp,
  vmap,
  xor,
} from '../nft/build.js';
import type { Expression, Statement, Verdict } from '../nft/model.js';
import type { Line } from './fragment.js';
import { sendBack } from './ingress.js';
import type { Site } from './site.js';

/** The answer's time to live: what Linux gives a packet of its own. */
const hops = 64;

/** The frame's source address and 48 bits from there: free, once copied. */
const aside = (bits: number): Expression => raw('ll', 48, bits);

/** A first fragment: the answer would be one, too. */
export const isFirstFragment: Statement = match(and(payload('ip', 'frag-off'), 0x2000), 0, '!=');

/** Exchanges two stretches of a header. */
function exchange(base: 'nh' | 'th', one: number, other: number, bits: number): Statement[] {
  const [left, right] = [raw(base, one, bits), raw(base, other, bits)];
  return [mangle(aside(bits), left), mangle(left, right), mangle(right, aside(bits))];
}

/** To the sender of the frame and of the packet. */
export function turnAddresses(family: Family): Statement[] {
  const toSender = mangle(raw('ll', 0, 48), raw('ll', 48, 48));
  if (family === 4) return [toSender, ...exchange('nh', 96, 128, 32)];
  return [toSender, ...exchange('nh', 64, 192, 48), ...exchange('nh', 112, 240, 48), ...exchange('nh', 160, 288, 32)];
}

/** Both ports are put aside, and the first of them again behind: what lies in the middle is the other order. */
export const turnPorts: readonly Statement[] = [
  mangle(aside(32), raw('th', 0, 32)),
  mangle(raw('ll', 80, 16), raw('ll', 48, 16)),
  mangle(raw('th', 0, 32), raw('ll', 64, 32)),
];

const turnNumbers: readonly Statement[] = exchange('th', 32, 64, 32);

/** A fresh time to live. */
export const freshHops = (family: Family): Statement =>
  mangle(family === 4 ? payload('ip', 'ttl') : payload('ip6', 'hoplimit'), hops);

/** The acknowledgement number plus one: adding is a chain of carries, of which every second ends at the first. */
export function incrementChain(site: Site): string {
  const number = tcp('ackseq');
  const ladder: Line[] = Array.from({ length: 31 }, (_, bit) => {
    const carried = 2 ** (bit + 1) - 1;
    return {
      statements: [match(and(number, carried), 2 ** bit - 1), mangle(number, xor(number, carried)), returnVerdict],
    };
  });
  const wrapped: Line = { statements: [mangle(number, xor(number, 0xffffffff))] };
  return site.sharedChain('trap_next_number', [...ladder, wrapped], 'netdev');
}

/**
 * SYN to SYN+ACK with a window of 0, so that the client asks again and again when it may send. The options of the SYN
 * stay, without those that would promise something.
 */
function synAckChain(family: Family, site: Site): string {
  const lines: readonly Line[] = [
    {
      statements: [
        ...turnAddresses(family),
        ...turnPorts,
        mangle(tcp('ackseq'), tcp('sequence')),
        jump(incrementChain(site)),
      ],
    },
    ...sendBack(
      [
        mangle(tcp('sequence'), 0),
        mangle(tcp('flags'), { '|': ['syn', 'ack'] }),
        mangle(tcp('window'), 0),
        mangle(tcp('urgptr'), 0),
        freshHops(family),
      ],
      site,
    ),
  ];
  return site.sharedChain(`trap_syn_ack${family}`, lines, 'netdev');
}

/** What a SYN offers and this host won't keep. */
const promises = ['timestamp', 'sack-perm', 'window', 'fastopen', 'mptcp'];

function strippedSynAckChain(family: Family, site: Site): string {
  const line = { statements: [...promises.map(resetTcpOption), goto(synAckChain(family, site))] };
  return site.sharedChain(`trap_syn_options${family}`, [line], 'netdev');
}

/** ACK to ACK with the numbers exchanged and a window of 0. */
function ackChain(family: Family, site: Site): string {
  const change = [
    ...turnAddresses(family),
    ...turnPorts,
    ...turnNumbers,
    mangle(tcp('flags'), 'ack'),
    mangle(tcp('window'), 0),
    mangle(tcp('urgptr'), 0),
    freshHops(family),
  ];
  return site.sharedChain(`trap_ack${family}`, sendBack(change, site), 'netdev');
}

/** The bytes of a packet with a TCP header of so many words and no data. IPv6 counts without its own header. */
const bareLength = (family: Family, words: number): number => (family === 4 ? 20 : 0) + 4 * words;
const lengthOf = (family: Family): Expression => payload(family === 4 ? 'ip' : 'ip6', 'length');

/**
 * The byte with the header's length in words, three reserved bits and AE (RFC 9768 section 3.1). The length alone would be
 * four bits: nft 1.0.6 aborts when it lists a map with such a key.
 */
const lengthByte = raw('th', 96, 8);
const lengthBytes = (words: number): readonly number[] => [0, 1].map((ae) => (words << 4) | ae);

/**
 * SYNs without data, and only they, are answered: the packet keeps its length, and the answer would carry the data back.
 * Lengths with IP options or extension headers don't fit either.
 */
export function answerSyn(family: Family, site: Site): Statement {
  const [plain, stripped] = [synAckChain(family, site), strippedSynAckChain(family, site)];
  const entries = Array.from({ length: 11 }, (_, index) => 5 + index).flatMap((words) => {
    // Four bytes of options have room for a maximum segment size, which may stay.
    const answer = goto(words <= 6 ? plain : stripped);
    return lengthBytes(words).map((byte): readonly [Expression, Verdict] => [
      concat(bareLength(family, words), byte),
      answer,
    ]);
  });
  return vmap(concat(lengthOf(family), lengthByte), entries);
}

/** ACKs without data and options are answered. */
export const answerAck = (family: Family, site: Site): readonly Statement[] => [
  match(lengthOf(family), bareLength(family, 5)),
  match(tcp('doff'), 5),
  goto(ackChain(family, site)),
];
