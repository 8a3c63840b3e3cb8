/**
 * Packets turned round by rewriting them where they are. nft copies one field to another but can't exchange two: the
 * frame's source address is the place to put things aside, once it has been copied to the destination. Exchanging
 * addresses, ports or sequence numbers changes no checksum, so that raw copies do. All else are typed writes, which keep
 * the checksums right, and cost three times as much. Where it is known by how much several fields change the sum, one typed
 * write accounts for all of them: it writes a value that is off by so much, and a raw write behind it the right one.
 */

import type { Family } from '../net/address.js';
import {
  and,
  concat,
  drop,
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
import { fromOurselves, sendBack } from './ingress.js';
import type { Site } from './site.js';

/** The answer's time to live: what Linux gives a packet of its own. */
const hops = 64;

/** The frame's source address and 48 bits from there: free, once copied. */
const aside = (bits: number): Expression => raw('ll', 48, bits);

/**
 * A first fragment: the answer would be one, too. Raw, as are the other looks at headers here: the rule before has seen to
 * it that they are there, and nft would check again.
 */
const isFirstFragment: Statement = match(and(raw('nh', 48, 16), 0x2000), 0, '!=');

/** Lines for packets of a family, in a chain of `netdev` for each; first fragments of IPv4 are dropped. */
export function byFamily(name: string, lines: (family: Family) => readonly Line[], site: Site): Line[] {
  const dropped: readonly Line[] = [{ statements: [isFirstFragment, drop] }];
  const four = goto(site.sharedChain(`${name}4`, [...dropped, ...lines(4)], 'netdev'));
  const six = goto(site.sharedChain(`${name}6`, lines(6), 'netdev'));
  return [{ family: 4, statements: [four] }, { statements: [six] }];
}

/** Exchanges two stretches of a header. */
function exchange(base: 'nh' | 'th', one: number, other: number, bits: number, by = aside(bits)): Statement[] {
  const [left, right] = [raw(base, one, bits), raw(base, other, bits)];
  return [mangle(by, left), mangle(left, right), mangle(right, by)];
}

/** To the sender of the frame and of the packet. @param by 32 bits that are free, where frames are slower to read. */
export function turnAddresses(family: Family, by?: Expression): Statement[] {
  const toSender = mangle(raw('ll', 0, 48), raw('ll', 48, 48));
  if (family === 4) return [toSender, ...exchange('nh', 96, 128, 32, by)];
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

const sequence = raw('th', 32, 32);
const acknowledged = raw('th', 64, 32);
const urgent = raw('th', 144, 16);

/**
 * The number after the segment's own is acknowledged: adding is a chain of carries, of which every second ends at the first.
 * Where both numbers were the same, or the other one 0 and this one is going to be, the sum is 1 more than the checksum says
 * afterwards, which is for the caller to account for.
 */
function incrementChain(site: Site): string {
  const ladder: Line[] = Array.from({ length: 31 }, (_, bit) => {
    const carried = 2 ** (bit + 1) - 1;
    return {
      statements: [
        match(and(sequence, carried), 2 ** bit - 1),
        mangle(acknowledged, xor(sequence, carried)),
        returnVerdict,
      ],
    };
  });
  // All ones and 0 are the same to the sum: what is 1 more is the urgent pointer's.
  const balance = [mangle(tcp('urgptr'), 0xfffe), mangle(urgent, 0)];
  const wrapped: Line = {
    statements: [match(sequence, 0xffffffff), ...balance, mangle(acknowledged, 0), returnVerdict],
  };
  const last: Line = { statements: [mangle(acknowledged, xor(sequence, 0xffffffff))] };
  return site.sharedChain('trap_next_number', [...ladder, wrapped, last], 'netdev');
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
        mangle(tcp('urgptr'), 1),
        mangle(urgent, 0),
        freshHops(family),
      ],
      site,
    ),
  ];
  return site.sharedChain(`trap_syn_ack${family}`, lines, 'netdev');
}

/**
 * The same for SYNs with no other flag, which are nearly all, with one typed write instead of six. Their acknowledgement
 * number and urgent pointer are 0 but for scanners that play with them; then the number only moves, and besides the
 * increment it is the ACK flag, in one word with the header's length, that changes the sum.
 */
function plainSynAckChain(family: Family, site: Site): string {
  const other = [goto(synAckChain(family, site))];
  const more = 1 + 0x10;
  const lines: readonly Line[] = [
    { statements: [match(acknowledged, 0, '!='), ...other] },
    { statements: [match(urgent, 0, '!='), ...other] },
    { statements: [jump(incrementChain(site))] },
    ...sendBack(
      [
        ...turnAddresses(family, sequence),
        // Source port, destination port, source port: from the middle it is the other order.
        mangle(sequence, raw('th', 0, 32)),
        mangle(raw('th', 0, 32), raw('th', 16, 32)),
        mangle(tcp('window'), more),
        // Flags and window.
        mangle(raw('th', 104, 24), 0x120000),
        mangle(sequence, 0),
        freshHops(family),
      ],
      site,
    ),
  ];
  return site.sharedChain(`trap_plain_syn${family}`, lines, 'netdev');
}

/** What a SYN offers and this host won't keep. */
const promises = ['timestamp', 'sack-perm', 'window', 'fastopen', 'mptcp'];

type SynChain = (family: Family, site: Site) => string;

function stripped(target: string, site: Site): string {
  const line = { statements: [...promises.map(resetTcpOption), goto(target)] };
  return site.sharedChain(`${target}_options`, [line], 'netdev');
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
  return site.sharedChain(`trap_ack${family}`, [fromOurselves, ...sendBack(change, site)], 'netdev');
}

/** The bytes of a packet with a TCP header of so many words and no data. IPv6 counts without its own header. */
const bareLength = (family: Family, words: number): number => (family === 4 ? 20 : 0) + 4 * words;
const lengthOf = (family: Family): Expression => payload(family === 4 ? 'ip' : 'ip6', 'length');

/** Words of TCP headers: 5 without options, 15 with all that there is room for. */
const headerWords: readonly number[] = Array.from({ length: 11 }, (_, index) => 5 + index);

/** Four bytes of options have room for a maximum segment size, which may stay. */
function synTarget(chain: SynChain, family: Family, words: number, site: Site): Verdict {
  const target = chain(family, site);
  return goto(words <= 6 ? target : stripped(target, site));
}

/** Words and flags of a TCP header as they lie beside each other. */
const wordsAndFlags = raw('th', 96, 16);
const flagsOf = { syn: [0x02, 0xc2], ack: [0x10] } as const;
const plainSyn = 0x02;
export type Usual = keyof typeof flagsOf;

/**
 * Finds segments without data that are as usual with one lookup of length, words and flags: SYNs (also those that offer
 * ECN), and ACKs without options.
 */
export function answerUsual(family: Family, which: readonly Usual[], site: Site): Statement {
  const length = family === 4 ? raw('nh', 16, 16) : raw('nh', 32, 16);
  const entry = (words: number, flags: number, to: Verdict): readonly [Expression, Verdict] => [
    concat(bareLength(family, words), words * 0x1000 + flags),
    to,
  ];
  const entries = which.flatMap((kind) =>
    flagsOf[kind].flatMap((flags) =>
      kind === 'ack'
        ? [entry(5, flags, goto(ackChain(family, site)))]
        : headerWords.map((words) => {
            const chain = flags === plainSyn ? plainSynAckChain : synAckChain;
            return entry(words, flags, synTarget(chain, family, words, site));
          }),
    ),
  );
  return vmap(concat(length, wordsAndFlags), entries);
}

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
  const entries = headerWords.flatMap((words) =>
    lengthBytes(words).map((byte): readonly [Expression, Verdict] => [
      concat(bareLength(family, words), byte),
      synTarget(synAckChain, family, words, site),
    ]),
  );
  return vmap(concat(lengthOf(family), lengthByte), entries);
}

/** ACKs without data and options are answered. */
export const answerAck = (family: Family, site: Site): readonly Statement[] => [
  match(lengthOf(family), bareLength(family, 5)),
  match(tcp('doff'), 5),
  goto(ackChain(family, site)),
];
