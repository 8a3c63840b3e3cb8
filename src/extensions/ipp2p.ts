/**
 * ipp2p: peer-to-peer connections. What has fixed bytes at fixed places the kernel sees at once; of connections that it
 * doesn't know yet the daemon gets copies of the first packets, looks for the rest (lengths, ends of lines, words within),
 * and marks the connection. From then on every packet of it matches, in both directions.
 */

import {
  and,
  ct,
  jump,
  limit,
  log,
  match,
  matchBits,
  meta,
  oneOf,
  or,
  range,
  raw,
  setMarkBits,
  tcp,
  udp,
} from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { Type } from '../policy/schema-type.js';
import { type Extension, matchWord } from './extension.js';
import type { Line, MatchFragment } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import { type Datagram, type P2pProtocol, p2pDatagrams, p2pNumber, p2pProtocols } from './models/ipp2p.js';
import type { MarkField } from './roles.js';
import type { Site } from './site.js';

/** Kind of the duty, and prefix of the copies. */
export const ipp2pDuty = 'ipp2p';

export interface Ipp2pSpec {
  /** Where the number of the protocol stands in the connection's mark. */
  readonly shift: number;
  readonly mask: number;
}

/** Bytes of a copy: a whole packet of Ethernet, or the beginning of a longer one. */
export const ipp2pCopyBytes = 2_048;
/** Packets of a connection, both ways, of which copies are made. */
const firstPackets = 24;
/** What all connections together may cost the daemon. */
const forAll = { rate: 10_000, per: 'second', burst: 2_000 } as const;
const numberBits = 4;

const protocol = Type.Union([
  ...[Type.Literal('edk'), Type.Literal('dc'), Type.Literal('gnu'), Type.Literal('kazaa'), Type.Literal('bit')],
  ...[Type.Literal('apple'), Type.Literal('soul'), Type.Literal('winmx'), Type.Literal('ares')],
  ...[Type.Literal('mute'), Type.Literal('waste'), Type.Literal('xdcc')],
]);
const schema = Type.Array(protocol, {
  minItems: 1,
  maxItems: p2pProtocols.length,
  description:
    'eDonkey, Direct Connect, Gnutella, KaZaA, BitTorrent, AppleJuice, SoulSeek, WinMX, Ares, Mute, Waste, XDCC.',
});

export const ipp2p: Extension = {
  name: 'ipp2p',
  summary: 'Matches connections of peer-to-peer programs by what they say first.',
  matches: [
    matchWord(
      {
        name: 'ipp2p',
        description: 'The connection speaks one of these peer-to-peer protocols, as far as its first packets tell.',
        schema,
        places: ['prerouting', 'input', 'forward', 'output', 'postrouting'],
      },
      { everyPacket: true, compile: (wanted, site) => speaks([...new Set(wanted)] as P2pProtocol[], site) },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'ipp2p',
      options: Object.fromEntries([...p2pProtocols, 'debug'].map((name) => [name, 0 as const])),
      read: readProtocols,
    },
  ],
  parity: {
    original: 'xt_ipp2p',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'a connection matches with all its packets once one of the first 24 has been recognised; the original asks each packet for itself',
      'what needs the daemon (lengths within the payload, ends, words) matches from the packet behind it',
      'passkey= of BitTorrent, X-Queue of Gnutella and the greeting of SoulSeek are found; 3.27 looks for the wrong text',
      'WinMX needs both names in quotes; 3.27 counts one twice',
      'IPv6 without a protocol in the rule',
    ],
    checked:
      'every signature and its near misses on the classifier; the payloads of the recorded module as packets through the kernel, with the classifier behind it; a connection that the daemon marks',
  },
};

function readProtocols(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const notes = options.has('debug') ? ['--debug: use "log" in the rule'] : [];
  return { match: { ipp2p: [...options.keys()].filter((name) => name !== 'debug') }, notes };
}

function speaks(wanted: readonly P2pProtocol[], site: Site): MatchFragment {
  const field = site.markBits('connection', ipp2pDuty, numberBits);
  const isKnown = match(and(ct('mark'), field.mask), oneOf(wanted.map((one) => numbered(field, one)).sort(ascending)));
  const signed = wanted.flatMap((one) =>
    signaturesOf(one, site.rule.protocols).map((line) => ({
      ...line,
      statements: [...line.statements, become(field, one)],
    })),
  );
  const ask = askChain(field, site);
  return {
    decide: (matched, others) => [
      { statements: [isKnown, ...matched] },
      ...signed.map(({ statements }) => ({ statements: [...statements, ...matched] })),
      { statements: [jump(ask)] },
      { statements: others },
    ],
  };
}

const ascending = (a: number, b: number): number => a - b;
const numbered = ({ shift }: MarkField, one: P2pProtocol): number => (p2pNumber(one) << shift) >>> 0;
const become = (field: MarkField, one: P2pProtocol): Statement => setMarkBits('ct', field.mask, numbered(field, one));

const carriesData: Statement = match(and(tcp('flags'), or('fin', 'syn', 'rst')), 0);
/** True when there is such a byte. */
const hasByte = (offset: number): Statement => match(raw('ih', offset * 8, 8), range(0, 255));
const isAt = (offset: number, hex: string): Statement[] =>
  // The kernel compares at most 128 bits at a time.
  (hex.match(/.{1,32}/g) ?? []).map((part, index) => {
    const at = (offset + index * 16) * 8;
    return match(raw('ih', at, part.length * 4), `0x${part}`);
  });

const TCP = 6;
const UDP = 17;

/** Fixed bytes at the beginning of a segment. */
const segments: Readonly<Partial<Record<P2pProtocol, string>>> = {
  bit: '\x13BitTorrent protocol',
  apple: 'ajprot\r\n',
  waste: 'GET.sha1:',
};

/** @param protocols that the rule is limited to; absent: any. */
function signaturesOf(one: P2pProtocol, protocols?: readonly number[]): Line[] {
  const carries = (protocol: number): boolean => protocols?.includes(protocol) ?? true;
  const text = segments[one];
  const hex = text === undefined ? '' : Buffer.from(text, 'latin1').toString('hex');
  const more = one === 'bit' ? [hasByte(20)] : [];
  return [
    ...(text === undefined || !carries(TCP) ? [] : [{ statements: [carriesData, ...isAt(0, hex), ...more] }]),
    ...(carries(UDP) ? (p2pDatagrams[one] ?? []) : []).map((known) => ({ statements: datagram(known) })),
  ];
}

const headerBytes = 8;

function datagram({ length, least = 0, except = [], at, notZero = [] }: Datagram): Statement[] {
  const bytes = (payload: number): number => payload + headerBytes;
  const others = except.length === 0 ? [] : [match(udp('length'), { set: except.map(bytes) }, '!=')];
  const size = length === undefined ? match(udp('length'), bytes(least), '>=') : match(udp('length'), bytes(length));
  return [
    size,
    ...others,
    ...at.flatMap(([offset, hex]) => isAt(offset, hex)),
    ...notZero.map((offset) => match(raw('ih', offset * 8, 8), 0, '!=')),
  ];
}

/** Copies of what nobody knows yet, each packet once, however many rules ask. */
function askChain(field: MarkField, site: Site): string {
  const asked = site.markBits('packet', ipp2pDuty, 1);
  const group = site.nflogGroup(ipp2pDuty);
  const spec: Ipp2pSpec = { shift: field.shift, mask: field.mask };
  site.duty({ kind: ipp2pDuty, name: ipp2pDuty, nflogGroup: group, spec });
  const ask = site.sharedChain('ipp2p_copy', [
    {
      statements: [
        limit(forAll),
        setMarkBits('meta', asked.mask, asked.mask),
        log({ group, prefix: ipp2pDuty, snaplen: ipp2pCopyBytes }),
      ],
    },
  ]);
  const isUnknown = matchBits(ct('mark'), field.mask, 0);
  const isFirst = match(ct('packets'), firstPackets, '<=');
  const isNew = matchBits(meta('mark'), asked.mask, 0);
  const when = [isUnknown, isFirst, isNew];
  return site.sharedChain('ipp2p_unknown', [
    { statements: [carriesData, hasByte(0), ...when, jump(ask)] },
    { statements: [match(meta('l4proto'), { set: ['udp', 'udplite'] }), ...when, jump(ask)] },
  ]);
}
