/**
 * IPMARK: the packet's mark from its source or destination address, `(address >> shift) & and_mask | or_mask`.
 *
 * nft compares raw bits in network order; only behind a shift are they the number that a mark is, and the kernel refuses
 * a shift by 0. So an address that isn't shifted goes left by one and right by one, and the bit that falls out on the way
 * is set by a rule of its own, as are the bits that a window of 32 bits is too short for.
 */

import { addressBits, type Family } from '../net/address.js';
import { and, mangle, match, meta, or, raw, shiftLeft, shiftRight } from '../nft/build.js';
import type { Expression, Statement } from '../nft/model.js';
import { markBits } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { actionWord, type Extension } from './extension.js';
import type { ActionFragment, Line } from './fragment.js';
import type { IptablesOption } from './iptables.js';

const schema = Type.Object({
  addr: Type.Union([Type.Literal('src'), Type.Literal('dst')], { description: 'Which address makes the mark.' }),
  shift: Type.Integer({ minimum: 0, maximum: 128, default: 0, description: 'Bits that it is shifted to the right.' }),
  and_mask: Value(markBits, { default: '0xffffffff', description: 'Bits of the address that are kept.' }),
  or_mask: Value(markBits, { default: '0', description: 'Bits that are set in any case.' }),
});

/** What the address becomes: 32 bits. */
export interface IpmarkSpec {
  readonly addr: 'src' | 'dst';
  readonly shift: number;
  readonly and_mask: number;
  readonly or_mask: number;
}

/** The mark that an address gets: the reference that the rules are held against. */
export function ipmarkOf(address: bigint, { shift, and_mask, or_mask }: IpmarkSpec): number {
  return Number(((address >> BigInt(shift)) & BigInt(and_mask)) | BigInt(or_mask));
}

export const ipmark: Extension = {
  name: 'IPMARK',
  summary: 'Makes the mark of a packet from its address, for shaping each host with few rules.',
  actions: [
    actionWord(
      {
        name: 'ipmark',
        description: 'Set the mark of the packet from its source or destination address.',
        schema,
      },
      {
        marks: ({ and_mask, or_mask }) => [{ of: 'packet', mask: (and_mask | or_mask) >>> 0 }],
        everyPacket: true,
        compile(spec, site): ActionFragment {
          const ways = site.rule.families.map((family) => ({ family, lines: marking(spec, family) }));
          const counts = ways.map(({ family, lines: { length } }) => `${length} for IPv${family}`);
          site.note(`the mark is set in this chain; rules that it takes: ${counts.join(', ')}`);
          return { lines: ways.flatMap(({ lines }) => lines) };
        },
      },
    ),
  ],
  iptables: [
    {
      kind: 'target',
      module: 'IPMARK',
      options: { addr: 1, 'and-mask': 1, 'or-mask': 1, shift: 1 },
      read: (options) => ({ action: { ipmark: written(options) } }),
    },
  ],
  parity: {
    original: 'xt_IPMARK',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'a shift by 32 or more leaves nothing of an IPv4 address; the original shifts by 32 as by 0',
      'every hook, not the table mangle alone; the whole mark is set, as there',
    ],
    checked:
      'random addresses, masks and shifts of both families as packets through the kernel, against a reference function; the packets of the recorded module',
  },
};

function written(options: ReadonlyMap<string, IptablesOption>): Record<string, unknown> {
  const value = (name: string) => options.get(name)?.value;
  return Object.fromEntries(
    [
      ['addr', value('addr')],
      ['shift', value('shift')],
      ['and_mask', value('and-mask')],
      ['or_mask', value('or-mask')],
    ].filter(([, text]) => text !== undefined),
  );
}

const mark = meta('mark');
/** The version in the header: unlike `meta nfproto`, its listing loads again. */
const isFamily: Readonly<Record<Family, Statement>> = {
  4: match(raw('nh', 0, 4), 4),
  6: match(raw('nh', 0, 4), 6),
};

/** Where the header has an address. */
const firstBit = (family: Family, addr: 'src' | 'dst'): number =>
  family === 4 ? (addr === 'src' ? 96 : 128) : addr === 'src' ? 64 : 192;

/** The rules of one family: the first sets the mark, the others add bits that it can't carry. */
function marking({ addr, shift, and_mask: keep, or_mask: plus }: IpmarkSpec, family: Family): Line[] {
  const first = firstBit(family, addr);
  const width = addressBits(family);
  const window = windowOf(shift, width);
  const carried = window === undefined ? 0 : (keep & lowBits(window.carries)) >>> 0;
  const value = window === undefined || carried === 0 ? plus : masked(window.read(first), carried, plus);
  const lines: Line[] = [{ statements: [isFamily[family], mangle(mark, value)] }];
  for (let bit = 0; bit < 32; bit++) {
    const one = 2 ** bit;
    const place = width - 1 - shift - bit;
    const isMissing = ((keep & ~carried & ~plus) >>> 0) / one;
    if (Math.floor(isMissing) % 2 === 0 || place < 0) continue;
    lines.push({
      statements: [isFamily[family], match(raw('nh', first + place, 1), 1), mangle(mark, or(mark, one))],
    });
  }
  return lines;
}

/** 32 bits of the header with the end of the shifted address, and how many of the mark's bits they carry. */
interface Window {
  readonly carries: number;
  read(first: number): Expression;
}

function windowOf(shift: number, width: number): Window | undefined {
  if (shift >= width) return undefined;
  const bytes = Math.min(Math.floor(shift / 8), (width - 32) / 8);
  const rest = shift - 8 * bytes;
  const at = (first: number) => raw('nh', first + width - 32 - 8 * bytes, 32);
  if (rest === 0) return { carries: 31, read: (first) => shiftRight(shiftLeft(at(first), 1), 1) };
  return { carries: 32 - rest, read: (first) => shiftRight(at(first), rest) };
}

function masked(value: Expression, keep: number, plus: number): Expression {
  const kept = and(value, keep);
  return plus === 0 ? kept : or(kept, plus);
}

const lowBits = (count: number): number => 2 ** count - 1;
