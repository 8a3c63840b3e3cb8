/**
 * ipv4options: the options that an IPv4 header has. nft knows four of them by name; so rules walk through the header
 * instead. A rule has no loop, and jumps go 16 deep: the place where the walk is stands in bits of the packet's mark, and a
 * list of rules, one for each place in order, takes it on. Options that were met are further bits. Packets without options,
 * almost all, are decided by the length of their header.
 */

import type { Static } from 'typebox';
import {
  and,
  goto,
  ip,
  jump,
  mangle,
  match,
  matchBits,
  meta,
  or,
  raw,
  returnVerdict,
  setMarkBits,
} from '../nft/build.js';
import type { Expression, Statement, Verdict } from '../nft/model.js';
import type { Policy } from '../policy/ast.js';
import { present as presence } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { ChoiceOf, type Format, Value } from '../policy/types.js';
import { type Extension, matchWord } from './extension.js';
import { always, type Line, type MatchFragment } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import { type OptionTest, testOptions } from './models/ipv4options.js';
import type { Site } from './site.js';

/** IANA's registry "IP Option Numbers", under the names of xtables-addons. */
const numbers: Readonly<Record<string, number>> = {
  nop: 1,
  security: 2,
  lsrr: 3,
  timestamp: 4,
  'record-route': 7,
  ssrr: 9,
  'mtu-probe': 11,
  'mtu-reply': 12,
  traceroute: 18,
  'router-alert': 20,
};
const mostNumber = 31;

const optionNumber: Format<number> = {
  name: 'ip-option',
  label: 'OPTION',
  description: `An option of the IPv4 header: ${Object.keys(numbers).join(', ')}, or its number, 1 to 31.`,
  json: {
    anyOf: [
      { type: 'integer', minimum: 1, maximum: mostNumber },
      { type: 'string', pattern: '^(not )?([a-z-]+|[0-9]{1,2})$' },
    ],
  },
  parse({ value }) {
    const number = numbers[value] ?? (/^[0-9]{1,3}$/.test(value) ? Number(value) : undefined);
    if (number === undefined)
      throw new Misread(`"${value}" is no option of IPv4`, `known are ${Object.keys(numbers).join(', ')}`);
    if (number < 1)
      throw new Misread('option 0 is the end of the list, which is no option', `write 1 to ${mostNumber}`);
    if (number > mostNumber)
      throw new Misread(`${number} is more than ${mostNumber}`, `its low five bits are the number: ${number & 31}`);
    return number;
  },
};

const schema = Type.Union([
  Value(presence, { description: 'The header has options, whichever.' }),
  Type.Object({
    flags: Type.Optional(
      ChoiceOf(Value(optionNumber), { description: 'Options that must be there; behind "not" those that may not.' }),
    ),
    any: Type.Optional(Type.Boolean({ description: 'One of the flags is enough; without flags: any option at all.' })),
  }),
]);
type Ipv4optionsSpec = Static<typeof schema>;

export const ipv4options: Extension = {
  name: 'ipv4options',
  summary: 'Matches the options that an IPv4 header has, or has not.',
  matches: [
    matchWord(
      { name: 'ipv4options', description: 'The IPv4 header has these options, or any.', schema },
      { compile: hasOptions },
    ),
  ],
  iptables: [{ kind: 'match', module: 'ipv4options', options: { flags: 1, any: 0 }, read: readOptions }],
  parity: {
    original: 'xt_ipv4options',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'nop is matched; the original never sees it',
      '"any" without flags is any option at all; the original never matches then',
    ],
    checked:
      'the vectors of the original and random headers as packets through the kernel against a reference function; the packets of the recorded module',
  },
};

/** All of `--flags a,!b` have to hold; `--any` makes one enough. Numbers go round at 32, as in the kernel. */
function readOptions(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const words = options.get('flags')?.value?.split(',') ?? [];
  const flags = words.map((word) => {
    const [, not = '', name = ''] = /^(!?)(.*)$/.exec(word) ?? [];
    return `${not && 'not '}${/^[0-9]+$/.test(name) ? Number(name) & mostNumber : name}`;
  });
  if (flags.length > 0) return { match: { ipv4options: { flags, ...(options.has('any') && { any: true }) } } };
  return options.has('any')
    ? { notes: ['--any without --flags never matches: leave the rule out'] }
    : { match: {}, notes: ['without --flags every packet matches'] };
}

const withoutOptions: Statement = match(ip('hdrlength'), 5);

function hasOptions(spec: Ipv4optionsSpec, site: Site): MatchFragment {
  const test = testOf(spec);
  if (test === undefined) {
    if (spec === true || spec.any) return { anyOf: [{ family: 4, statements: [match(ip('hdrlength'), 5, '>')] }] };
    site.refuse('"ipv4options" without flags says nothing', 'add "flags:", or "any: true" for any option at all');
  }
  if (!test.any && test.present.some((number) => test.absent.includes(number)))
    site.refuse('no header has an option and has it not', 'leave one of them out');
  if (test.any && test.present.some((number) => test.absent.includes(number))) return { ...always, disjoint: true };
  const walk = walkOf(test, site);
  const decided = testOptions(test, 0);
  return {
    families: [4],
    decide: (matched, others) => [
      { family: 4, statements: [withoutOptions, ...(decided ? matched : others)] },
      { family: 4, statements: [jump(walk.chain)] },
      { family: 4, statements: [...walk.holds(test), walk.clear, ...matched] },
      { family: 4, statements: [walk.clear, ...others] },
    ],
  };
}

function testOf(spec: unknown): OptionTest | undefined {
  const { flags, any = false } = spec === true ? {} : (spec as Exclude<Ipv4optionsSpec, true>);
  return flags && { present: flags.any, absent: flags.not, any };
}

/** Options that a rule has to look out for, each once. */
const wantedBy = ({ present, absent }: OptionTest): number[] => [...new Set([...present, ...absent])].sort(ascending);
const ascending = (a: number, b: number): number => a - b;

/** Rules share a walk as long as what they look out for fits well into a mark. */
const mostShared = 12;
const placeBits = 6;

function walksOf(policy: Policy): { readonly shared: readonly number[] | undefined; readonly mostBits: number } {
  const wanted = [...policy.chains.values(), { rules: policy.nat }]
    .flatMap(({ rules }) => rules.flatMap(({ matches }) => matches))
    .flatMap((word) => (word.word === 'extension' && word.name === 'ipv4options' ? [testOf(word.spec)] : []))
    .flatMap((test) => (test === undefined ? [] : [wantedBy(test)]));
  const all = [...new Set(wanted.flat())].sort(ascending);
  if (all.length <= mostShared) return { shared: all, mostBits: all.length };
  return { shared: undefined, mostBits: Math.max(...wanted.map(({ length }) => length)) };
}

interface Walk {
  /** The chain that leaves the bits in the mark. */
  readonly chain: string;
  readonly clear: Statement;
  holds(test: OptionTest): readonly Statement[];
}

function walkOf(test: OptionTest, site: Site): Walk {
  const { shared, mostBits } = walksOf(site.policy);
  const wanted = shared ?? wantedBy(test);
  const { shift, mask } = site.markBits('packet', 'ipv4options', placeBits + mostBits);
  const scratch = new Scratch(shift, mask, wanted);
  const maskOf = (list: readonly number[]): number =>
    list.reduce((sum, number) => sum | scratch.bitOf(number), 0) >>> 0;
  return {
    chain: walkChain(scratch, `ipopt_${shared ? 'all' : wanted.join('_')}`, site),
    clear: setMarkBits('meta', mask, 0),
    holds: ({ present, absent, any }) => {
      const [looked, ifAny] = [maskOf([...present, ...absent]), maskOf(absent)];
      return [matchBits(mark, looked, any ? ifAny : maskOf(present), any ? '!=' : '==')];
    },
  };
}

const mark = meta('mark');

/** The bits of the packet's mark: the place in the options, then a bit for each option that is looked out for. */
class Scratch {
  readonly placeMask: number;

  constructor(
    readonly shift: number,
    readonly mask: number,
    readonly wanted: readonly number[],
  ) {
    this.placeMask = (end << shift) >>> 0;
  }

  bitOf(number: number): number {
    return (1 << (this.shift + placeBits + this.wanted.indexOf(number))) >>> 0;
  }

  placed(place: number): number {
    return (place << this.shift) >>> 0;
  }
}

/** The walk is over. */
const end = 2 ** placeBits - 1;
const areaBytes = 40;
const areaStart = 20;
const wordBytes = 4;
const bareWords = 5;

function walkChain(scratch: Scratch, name: string, site: Site): string {
  const known = Object.fromEntries(
    scratch.wanted.map((number) => [
      number,
      site.sharedChain(`${name}_has_${number}`, [{ statements: [mangle(mark, or(mark, scratch.bitOf(number)))] }]),
    ]),
  );
  const places = Array.from({ length: areaBytes }, (_, place) => {
    const target = site.sharedChain(`${name}_at_${place}`, placeLines(scratch, name, place, known, site));
    return { statements: [matchBits(mark, scratch.placeMask, scratch.placed(place)), jump(target)] };
  });
  return site.sharedChain(name, [{ statements: [setMarkBits('meta', scratch.mask, 0)] }, ...places]);
}

/** A byte of the options. */
const byteAt = (place: number): Expression => raw('nh', (areaStart + place) * 8, 8);

/** What is done at a place: an option there is taken note of, and the walk goes to the next one. */
function placeLines(
  scratch: Scratch,
  name: string,
  place: number,
  known: Readonly<Record<number, string>>,
  site: Site,
): Line[] {
  const to = (next: number | 'end'): string => moveChain(scratch, name, next, site);
  const noteNop = known[1] === undefined ? [] : [jump(known[1])];
  const areaEnds = (bytes: number): Statement => match(ip('hdrlength'), bareWords + bytes / wordBytes);
  const lengths = Array.from({ length: areaBytes - place - 1 }, (_, index) => index + 2);
  const steps = lengths.map((length): readonly [number, Verdict] => [length, jump(to(place + length))]);
  const notes = Object.entries(known).map(([number, target]): readonly [number, Verdict] => [
    Number(number),
    jump(target),
  ]);
  const here = scratch.placed(place);
  const line = (...statements: readonly Statement[]): Line => ({ statements });
  const first = [
    ...(place % wordBytes === 0 && place > 0 ? [line(areaEnds(place), goto(to('end')))] : []),
    line(match(byteAt(place), 0), goto(to('end'))),
    ...noteNop.map((note) => line(match(byteAt(place), 1), note)),
    line(match(byteAt(place), 1), goto(to(place + 1))),
    ...(place % wordBytes === wordBytes - 1 ? [line(areaEnds(place + 1), goto(to('end')))] : []),
  ];
  // The last byte of the longest header can't begin an option with a length.
  if (steps.length === 0) return first;
  return [
    ...first,
    line({ vmap: { key: byteAt(place + 1), entries: steps } }),
    line(matchBits(mark, scratch.placeMask, here), goto(to('end'))),
    line(matchBits(mark, scratch.placeMask, scratch.placed(end)), returnVerdict),
    line({ vmap: { key: raw('nh', (areaStart + place) * 8 + 3, 5), entries: notes } }),
  ];
}

/** Sets the place; one behind the header is the end, and what led there is malformed. */
function moveChain(scratch: Scratch, name: string, next: number | 'end', site: Site): string {
  if (next === 'end' || next > areaBytes)
    return site.sharedChain(`${name}_end`, [{ statements: [setPlace(scratch, end)] }]);
  const least = bareWords + Math.ceil(next / wordBytes);
  return site.sharedChain(`${name}_to_${next}`, [
    { statements: [match(ip('hdrlength'), least, '<'), setPlace(scratch, end), returnVerdict] },
    { statements: [setPlace(scratch, next)] },
  ]);
}

const setPlace = (scratch: Scratch, place: number): Statement =>
  mangle(mark, or(and(mark, ~scratch.placeMask >>> 0), scratch.placed(place)));
