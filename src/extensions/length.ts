/**
 * length (length2): how long a packet is, at any layer. nft compares header fields and can't calculate; but what is to be
 * taken off, the headers, has few lengths. So a range is compared together with the words of the IP and the TCP header, as
 * a set of all combinations.
 */

import { PosternError } from '../errors.js';
import type { Family } from '../net/address.js';
import { concat, ip, ip6, match, oneOf, range, raw, tcp } from '../nft/build.js';
import type { Expression, Statement } from '../nft/model.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { type Format, Sentence, Value } from '../policy/types.js';
import { type Extension, matchWord } from './extension.js';
import type { Line, MatchFragment } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import type { Site } from './site.js';

/** Bytes, both included. */
interface Lengths {
  readonly least: number;
  readonly most: number;
}

const longest = 0xffff;

const lengths: Format<Lengths> = {
  name: 'lengths',
  label: 'BYTES',
  description: 'A length in bytes, or a range: 1500, 100-200.',
  json: {
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: '^[0-9]{1,10}(-[0-9]{1,10})?$' },
    ],
  },
  parse({ value }) {
    const [, first, last = first] = /^([0-9]{1,10})(?:-([0-9]{1,10}))?$/.exec(value) ?? [];
    if (first === undefined) throw new Misread(`"${value}" is no length`, 'write it as 1500 or 100-200');
    const [least, most] = [Number(first), Number(last)];
    if (least > most) throw new Misread(`"${value}" ends before it begins`);
    if (most > 0xffff_ffff) throw new Misread(`"${value}" is more than 32 bits`);
    return { least, most };
  },
};

const layers = ['layer3', 'layer4', 'layer5', 'layer7'] as const;
type Layer = (typeof layers)[number];

const schema = Sentence(
  '[{layer}] {bytes}',
  Type.Object({
    layer: Type.Optional(
      Type.Union([Type.Literal('layer3'), Type.Literal('layer4'), Type.Literal('layer5'), Type.Literal('layer7')]),
    ),
    bytes: Value(lengths),
  }),
);

export const length: Extension = {
  name: 'length2',
  summary: 'Matches the length of a packet, with its headers or without them.',
  matches: [
    matchWord(
      {
        name: 'length',
        description:
          'The length in bytes: of the packet (layer3), without the IP header (layer4), or without TCP, UDP … either (layer5, layer7).',
        schema,
        negatable: true,
      },
      {
        compile: ({ layer = 'layer3', bytes }, site) => fragment(layer, bytes, false, site),
        compileNot: ({ layer = 'layer3', bytes }, site) => fragment(layer, bytes, true, site),
      },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'length2',
      options: { layer3: 0, layer4: 0, layer5: 0, layer7: 0, length: 1 },
      negatable: ['length'],
      read: readLength,
    },
  ],
  parity: {
    original: 'xt_length2',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'ICMPv6 is measured at layers 4, 5 and 7; the original never matches it there',
      'the extension headers of IPv6 belong to layer 4; what is behind them has no layer 5 here',
      'DCCP has a layer 5 as long as its header has at most 72 bytes',
    ],
    checked:
      'all combinations of IP and TCP options, layers and protocols as packets through the kernel; the packets of the recorded module',
  },
};

function readLength(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const { value = '', negated = false } = options.get('length') ?? {};
  const [layer = 'layer3', other] = layers.filter((one) => options.has(one));
  if (other !== undefined)
    throw new PosternError('invalid', `--${layer} and --${other}: a length is that of one layer`);
  return { match: { length: `${negated ? 'not ' : ''}${layer} ${value.replace(':', '-')}` } };
}

/** A protocol of which it is never known how long what it carries is never matches, nor does its negation. */
function fragment(layer: Layer, bytes: Lengths, not: boolean, site: Site): MatchFragment {
  const lines = linesOf(layer, bytes, not, site);
  if (lines.length === 0) site.refuse('no packet of this rule has such a length', `IP takes ${longest} bytes`);
  return { anyOf: lines, disjoint: true };
}

function linesOf(layer: Layer, bytes: Lengths, not: boolean, site: Site): Line[] {
  const op = not ? '!=' : '==';
  const compare = (family: Family, terms: Terms, guard: readonly Statement[] = []): Line[] => {
    const values = terms.values(bytes);
    if (values.length > 0)
      return [{ family, statements: [...guard, match(concat(...terms.fields), terms.oneOf(values), op)] }];
    return not ? [{ family, statements: [...guard] }] : [];
  };
  const families = ([4, 6] as const).filter((family) => site.rule.families.includes(family));
  if (layer === 'layer3') return families.flatMap((family) => compare(family, plain(family, wholeOf(family))));
  if (layer === 'layer4') return families.flatMap((family) => compare(family, behindIp(family, 0)));
  return families.flatMap((family) =>
    carriersOf(family, layer, site).flatMap(({ protocols, known = [], terms }) =>
      compare(family, terms, [match(protocolField(family), oneOf(protocols)), ...known]),
    ),
  );
}

const protocolField = (family: Family): Expression => (family === 4 ? ip('protocol') : ip6('nexthdr'));
const lengthField = (family: Family): Expression => (family === 4 ? ip('length') : ip6('length'));

/** The header that the length field of IPv6 doesn't count. */
const wholeOf = (family: Family): number => (family === 4 ? 0 : -40);

/** What is compared, and the values of it that stand for a range of lengths. */
interface Terms {
  readonly fields: readonly Expression[];
  values(bytes: Lengths): readonly Expression[];
  oneOf(values: readonly Expression[]): Expression;
}

/** A range of the length field, `headers` longer than what is asked for; undefined when no packet is so long. */
function shifted({ least, most }: Lengths, headers: number): Expression | undefined {
  const [first, last] = [Math.max(0, least + headers), Math.min(longest, most + headers)];
  return first > last ? undefined : range(first, last);
}

const listed = (ranges: readonly (Expression | undefined)[]): Expression[] => ranges.filter((one) => one !== undefined);

const plain = (family: Family, headers: number): Terms => ({
  fields: [lengthField(family)],
  values: (bytes) => listed([shifted(bytes, headers)]),
  oneOf: (values) => values[0]!,
});

/** Lengths of headers in words, as the header itself says them. */
const ipWords = Array.from({ length: 11 }, (_, index) => 5 + index);
const tcpWords = Array.from({ length: 16 }, (_, index) => index);
const dccpWords = Array.from({ length: 16 }, (_, index) => 3 + index);
const wordBytes = 4;

/** Combinations of header lengths, each with the range that then stands for the lengths. */
const combined = (fields: readonly Expression[], words: readonly (readonly number[])[], headers: number): Terms => ({
  fields,
  values: (bytes) =>
    product(words).flatMap((lengths) => {
      const taken = lengths.reduce((sum, one) => sum + one * wordBytes, headers);
      const found = shifted(bytes, taken);
      return found === undefined ? [] : [concat(...lengths, found)];
    }),
  oneOf: (values) => ({ set: values }),
});

const product = (lists: readonly (readonly number[])[]): number[][] =>
  lists.reduce<number[][]>((found, list) => found.flatMap((head) => list.map((value) => [...head, value])), [[]]);

const behindIp = (family: Family, headers: number): Terms =>
  family === 4 ? combined([ip('hdrlength'), ip('length')], [ipWords], headers) : plain(6, headers);

const behindField = (family: Family, field: Expression, words: readonly number[]): Terms =>
  family === 4
    ? combined([ip('hdrlength'), field, ip('length')], [ipWords, words], 0)
    : combined([field, ip6('length')], [words], 0);

interface Carrier {
  /** As nft calls them. */
  readonly protocols: readonly Protocol[];
  /** Whether the header has one of the lengths that the terms are of. */
  readonly known?: readonly Statement[];
  readonly terms: Terms;
}

const protocols = {
  ...{ icmp: 1, tcp: 6, udp: 17, dccp: 33, esp: 50, ah: 51 },
  ...{ 'ipv6-icmp': 58, sctp: 132, udplite: 136 },
} as const;
type Protocol = keyof typeof protocols;

/** Headers that always have the same bytes. */
const fixedBytes: Readonly<Record<Family, readonly (readonly [bytes: number, protocols: readonly Protocol[]])[]>> = {
  4: [
    [8, ['udp', 'udplite', 'icmp', 'esp']],
    [12, ['sctp', 'ah']],
  ],
  6: [
    [8, ['udp', 'udplite', 'esp']],
    [12, ['sctp', 'ah']],
    [4, ['ipv6-icmp']],
  ],
};
/** The data offset of DCCP (RFC 4340 section 5.1). */
const dccpOffset = raw('th', 32, 8);
const dccpKnown: Statement = match(dccpOffset, range(dccpWords[0]!, dccpWords.at(-1)!));

/** What carries data whose length can be told. Of SCTP layer 7 is spread over chunks. */
function carriersOf(family: Family, layer: Layer, site: Site): Carrier[] {
  const wanted = (name: Protocol): boolean =>
    (site.rule.protocols?.includes(protocols[name]) ?? true) && !(layer === 'layer7' && name === 'sctp');
  const carriers: Carrier[] = [
    { protocols: ['tcp'], terms: behindField(family, tcp('doff'), tcpWords) },
    ...fixedBytes[family].map(([bytes, names]) => ({ protocols: names, terms: behindIp(family, bytes) })),
    { protocols: ['dccp'], known: [dccpKnown], terms: behindField(family, dccpOffset, dccpWords) },
  ];
  return carriers
    .map((carrier) => ({ ...carrier, protocols: carrier.protocols.filter(wanted) }))
    .filter(({ protocols: names }) => names.length > 0);
}
