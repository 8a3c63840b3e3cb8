/**
 * lscan: tells scans from connections by how a connection goes on. A chain before all others takes each TCP connection
 * from state to state in four bits of its mark; rules look at the state, so that any number of them costs no more.
 */

import {
  accept,
  addTo,
  and,
  concat,
  ct,
  goto,
  ip,
  ip6,
  match,
  matchAny,
  meta,
  oneOf,
  or,
  raw,
  returnVerdict,
  setMarkBits,
  setRef,
  tcp,
  vmap,
} from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { Type } from '../policy/schema-type.js';
import { type Extension, matchWord } from './extension.js';
import type { Line, MatchFragment } from './fragment.js';
import { lscanMark } from './models/lscan.js';
import type { MarkField } from './roles.js';
import type { Ground, SetRequest, Site } from './site.js';
import { areFlags, flagBits } from './tcp-flags.js';

const kinds = ['stealth', 'synscan', 'cnscan', 'grscan', 'mirai'] as const;
type Kind = (typeof kinds)[number];

const schema = Type.Array(Type.Union(kinds.map((kind) => Type.Literal(kind))), {
  minItems: 1,
  description:
    'What the packet gives away, any of: stealth (it belongs to no connection), synscan (reset after the handshake began), cnscan (closed as soon as it was open), grscan (closed after one answer was read), mirai (the sequence number is the destination).',
});

export const lscan: Extension = {
  name: 'lscan',
  summary: 'Tells scans from connections by what becomes of a connection.',
  matches: [
    matchWord(
      {
        name: 'lscan',
        description: 'The packet belongs to a scan of one of these kinds.',
        schema,
        negatable: true,
        places: ['input', 'forward'],
        excludes: ['icmp'],
      },
      { everyPacket: true, compile: (wanted, site) => scans([...new Set(wanted as readonly Kind[])], site) },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'lscan',
      options: Object.fromEntries(kinds.map((kind) => [kind, 0] as const)),
      negatable: kinds,
      read: (options) => ({ match: { lscan: kinds.filter((kind) => options.has(kind)) } }),
    },
  ],
  parity: {
    original: 'xt_lscan',
    runs: 'kernel',
    standing: 'differs',
    how: [
      '`synscan` reports SYN scans; in 3.x they are reported by `--stealth`',
      'a SYN that is sent again, and an ACK that brings data because the one before was lost, is no scan',
      'connections are tracked whenever a rule asks; without another such rule the original takes every segment for stealth',
      'mirai looks at IPv4; a reset is never stealth',
    ],
    checked:
      'vectors of the original on a model of its states, its recorded sessions and nmap with real packets between namespaces',
  },
};

const TCP = 6;

function scans(wanted: readonly Kind[], site: Site): MatchFragment {
  if (site.rule.protocols?.includes(TCP) === false) {
    site.refuse('lscan looks at TCP, and no packet of this rule is', 'leave it out, or write a rule of "tcp: any"');
  }
  const field = machine(site);
  const states = wanted.flatMap((kind) =>
    kind === 'stealth' || kind === 'mirai' ? [] : [shifted(field, lscanMark[kind])],
  );
  const lines: Line[] = [
    ...(wanted.includes('stealth') ? [{ statements: stealth }] : []),
    ...(states.length > 0 ? [{ statements: [match(and(ct('mark'), field.mask), oneOf(states))] }] : []),
  ];
  if (!wanted.includes('mirai')) return { anyOf: lines };
  const pairs = site.set(miraiPairs);
  return {
    stateful: true,
    decide: (matched, others) => [
      ...lines.map(({ statements }) => ({ statements: [...statements, ...matched] })),
      {
        family: 4,
        statements: [
          match(meta('l4proto'), 'tcp'),
          addTo(pairs, concat(destination, destination), { timeoutMs: pairMs }),
          match(concat(destination, sequence), setRef(pairs)),
          ...matched,
        ],
      },
      {
        family: 4,
        statements: [
          match(meta('l4proto'), 'tcp'),
          match(concat(destination, destination), setRef(pairs), '!='),
          site.overflow(miraiPairs),
        ],
      },
      { statements: others },
    ],
  };
}

/** It belongs to no connection, and neither begins nor refuses one. */
const stealth: readonly Statement[] = [
  matchAny(ct('state'), ['invalid', 'untracked']),
  match(and(tcp('flags'), flagBits('fin', 'syn', 'rst')), 'rst', '!='),
  match(and(tcp('flags'), flagBits('fin', 'syn', 'rst', 'ack')), 'syn', '!='),
];

/** Two fields of a packet can't be compared; but one can be looked for in a set that the other was just put into. */
const destination = raw('nh', 128, 32);
const sequence = raw('th', 32, 32);
const pairMs = 60_000;
const miraiPairs: SetRequest = {
  role: { kind: 'extension', extension: 'lscan', name: 'mirai', purpose: 'destinations' },
  key: { typeof: [destination, sequence], of: ['ipv4_addr', 'ipv4_addr'] },
  flags: ['dynamic', 'timeout'],
  size: 65_536,
};

const shifted = ({ shift }: MarkField, state: number): number => state * 2 ** shift;

/** After connections are tracked, before anything else looks. */
const before = { type: 'filter', hook: 'prerouting', priority: -149, policy: 'accept' } as const;

/** The chains that take connections from state to state, once for all rules; answers the bits that hold the state. */
function machine(ground: Ground): MarkField {
  const field = ground.markBits('connection', 'lscan', 4);
  const become = (state: keyof typeof lscanMark): Statement =>
    setMarkBits('ct', field.mask, shifted(field, lscanMark[state]));
  const toValid = goto(ground.sharedChain('lscan_valid', [{ statements: [become('valid')] }]));
  const isAck = areFlags('ack');
  const none = ground.sharedChain('lscan_none', [
    { statements: [match(ct('state'), 'new'), areFlags('syn'), become('synReceived')] },
  ]);
  const opening = ground.sharedChain('lscan_opening', [
    { statements: [areFlags('syn'), returnVerdict] },
    { statements: [isAck, match(and(tcp('flags'), or('psh', 'urg')), 0), become('established1'), returnVerdict] },
    ...empty(ground, [isAck], [become('synscan'), returnVerdict]),
    { statements: [isAck, toValid] },
    { statements: [become('synscan')] },
  ]);
  const established1 = ground.sharedChain('lscan_open', [
    { statements: [closes, become('cnscan'), returnVerdict] },
    { statements: [match(meta('iifname'), 'lo'), toValid] },
    ...empty(ground, [isAck], [become('established2'), returnVerdict]),
    { statements: [toValid] },
  ]);
  const established2 = ground.sharedChain('lscan_read', [
    ...empty(ground, [isAck], [returnVerdict]),
    { statements: [closes, become('grscan'), returnVerdict] },
    { statements: [toValid] },
  ]);
  const next = ([state, chain]: readonly [keyof typeof lscanMark, string]) =>
    [shifted(field, lscanMark[state]), goto(chain)] as const;
  const states = [
    ['none', none],
    ['synReceived', opening],
    ['established1', established1],
    ['established2', established2],
  ] as const;
  ground.sharedBaseChain('lscan', before, [
    { statements: [match(meta('l4proto'), 'tcp', '!='), accept] },
    { statements: [matchAny(ct('state'), ['invalid', 'untracked']), accept] },
    { statements: [match(ct('direction'), 'reply'), accept] },
    { statements: [vmap(and(ct('mark'), field.mask), states.map(next))] },
  ]);
  return field;
}

const closes: Statement = match(and(tcp('flags'), flagBits('fin', 'syn', 'rst')), { set: ['fin', 'rst'] });

const words = Array.from({ length: 11 }, (_, more) => 5 + more);
const wordBytes = 4;

const segmentLengths = [ip('hdrlength'), tcp('doff'), ip('length')] as const;
const segmentLengths6 = [tcp('doff'), ip6('length')] as const;

/** Headers and whole lengths of segments without data. Sets by name: nft 1.0.6 can't list such a set without one. */
const emptySegments: SetRequest = {
  role: { kind: 'extension', extension: 'lscan', name: 'segments', purpose: 'empty', family: 4 },
  key: { typeof: segmentLengths },
  flags: [],
  elements: words.flatMap((header) =>
    words.map((doff) => ({ value: concat(header, doff, (header + doff) * wordBytes) })),
  ),
};
const emptySegments6: SetRequest = {
  role: { kind: 'extension', extension: 'lscan', name: 'segments', purpose: 'empty', family: 6 },
  key: { typeof: segmentLengths6 },
  flags: [],
  elements: words.map((doff) => ({ value: concat(doff, doff * wordBytes) })),
};

/** The segment has no data: its length is that of its headers. */
const empty = (ground: Ground, first: readonly Statement[], then: readonly Statement[]): Line[] => [
  {
    family: 4,
    statements: [...first, match(concat(...segmentLengths), setRef(ground.set(emptySegments))), ...then],
  },
  {
    family: 6,
    statements: [...first, match(concat(...segmentLengths6), setRef(ground.set(emptySegments6))), ...then],
  },
];
