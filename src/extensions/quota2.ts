/**
 * quota2: an amount by name, shared by all rules that name it. The kernel counts: bytes in a quota object, packets in a
 * limit that gives nothing back. What nft has no object for follows by a look of the daemon: an amount that rules both
 * raise and use up, and how long a packet may be that a rule only looks at.
 */

import type { Static } from 'typebox';
import { PosternError } from '../errors.js';
import { addTo, counter, limit, match, meta, quota, setRef } from '../nft/build.js';
import type { Element } from '../nft/model.js';
import type { Policy } from '../policy/ast.js';
import { entryOf } from '../policy/formats/names.js';
import { byteSize } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { type Extension, matchWord, sectionWord } from './extension.js';
import { always, holds, type MatchFragment } from './fragment.js';
import type { IptablesOption } from './iptables.js';
import {
  longestPacket,
  mostInQuota,
  type QuotaDuty,
  type QuotaUse,
  quotaDuty,
  quotaName,
  quotaPart,
} from './quota-names.js';
import { firstLimit } from './rate.js';
import type { Ground, ObjectRequest, SetRequest } from './site.js';

const sectionSchema = Type.Object({
  bytes: Type.Optional(Value(byteSize, { description: 'What it holds at first, in bytes of IP packets: 10GiB.' })),
  packets: Type.Optional(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'What it holds at first, in packets.' }),
  ),
});
type QuotaSpec = Static<typeof sectionSchema>;

const schema = Type.Union([
  Value(entryOf('quotas')),
  Type.Object({
    name: Value(entryOf('quotas'), { description: 'The quota.' }),
    grow: Type.Optional(Type.Boolean({ description: 'Add the packet to the quota; every packet matches.' })),
    no_change: Type.Optional(Type.Boolean({ description: 'Look whether the packet fits, and take nothing.' })),
  }),
]);
type MatchSpec = Static<typeof schema>;

interface Test {
  readonly name: string;
  readonly grow: boolean;
  readonly noChange: boolean;
}

const testOf = (spec: MatchSpec): Test =>
  typeof spec === 'string'
    ? { name: spec, grow: false, noChange: false }
    : { name: spec.name, grow: spec.grow ?? false, noChange: spec.no_change ?? false };

export const quota2: Extension = {
  name: quotaName,
  summary: 'An amount of bytes or packets by name, which rules use up, raise or look at.',
  sections: [
    sectionWord(
      {
        name: 'quotas',
        form: 'named',
        description: 'Amounts of bytes or packets that rules with `quota: NAME` use up.',
        schema: sectionSchema,
      },
      {
        compile(name, spec, ground) {
          ground.duty({ kind: quotaDuty, name, spec: dutyOf(name, spec, ground) });
          declare(name, ground);
        },
      },
    ),
  ],
  matches: [
    matchWord(
      {
        name: 'quota',
        description: 'The packet still fits into the named quota, and is taken from it.',
        schema,
        negatable: true,
      },
      {
        everyPacket: true,
        compile: (spec, site) => fits(testOf(spec), site),
        compileNot: (spec, site) => fitsNot(testOf(spec), site),
      },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'quota2',
      options: { name: 1, quota: 1, grow: 0, 'no-change': 0, packets: 0 },
      negatable: ['quota'],
      read: (options) => translated(options),
    },
  ],
  parity: {
    original: 'xt_quota2',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'the value stays over a reload, a restart and, as it was at most ten seconds before, a boot',
      'a quota is of bytes or of packets for all its rules, and begins with what `quotas:` says',
      'a quota that rules both raise and use up, and one of more than five million packets, follow within a tenth of a second',
      'beside rules that use it up, one that only looks (`no_change`) sees what was left up to a tenth of a second ago',
      'amounts go to 2^53 - 1',
      'on kernels before 6.14 the packet that takes exactly the last bytes does not fit',
    ],
    checked:
      'vectors of the original on a model, its recorded packets and writes through the real kernel and the engine',
  },
};

/** All rules of the policy that name the quota, translations included. */
function useOf(policy: Policy, name: string): QuotaUse {
  const rules = [...[...policy.chains.values()].flatMap(({ rules }) => rules), ...policy.nat];
  const tests = rules
    .flatMap(({ matches }) => matches)
    .flatMap((word) => (word.word === 'extension' && word.name === 'quota' ? [testOf(word.spec as MatchSpec)] : []))
    .filter((test) => test.name === name);
  return {
    charged: tests.some(({ grow, noChange }) => !grow && !noChange),
    grown: tests.some(({ grow, noChange }) => grow && !noChange),
    looked: tests.some(({ grow, noChange }) => !grow && noChange),
  };
}

function dutyOf(name: string, { bytes, packets }: QuotaSpec, ground: Ground): QuotaDuty {
  if ((bytes === undefined) === (packets === undefined)) {
    ground.refuse('a quota is an amount of bytes or of packets', 'write one of "bytes:" and "packets:"');
  }
  const amount = String(bytes ?? packets);
  return { unit: bytes === undefined ? 'packets' : 'bytes', amount, ...useOf(ground.policy, name) };
}

/** The quota of a name as the policy declares it. */
function declared(name: string, ground: Ground): QuotaDuty {
  const { spec } = ground.policy.sections.get('quotas')!.get(name)!;
  return dutyOf(name, spec as QuotaSpec, ground);
}

const part = (name: string, purpose: string) => ({ kind: 'extension', extension: quotaName, name, purpose }) as const;

/** Does the kernel follow it alone? Else rules look at what the daemon makes of its counters. */
export const isExact = ({ unit, amount, grown }: QuotaDuty): boolean =>
  unit === 'bytes' || (!grown && firstLimit(Math.max(1, Number(amount))) !== undefined);

/** Every part, whether a rule refers to it or not: the engine reads them. */
function declare(name: string, ground: Ground): void {
  const duty = declared(name, ground);
  if (duty.grown) ground.object(grownCounter(name));
  if (duty.unit === 'packets') {
    ground.object(chargedCounter(name));
    ground.set(emptySet(name, duty));
    if (isExact(duty)) ground.object(leftObject(name, duty));
  } else {
    if (duty.charged || !duty.grown) ground.object(leftObject(name, duty));
    if (duty.looked) ground.set(fitsSet(name, duty));
  }
}

const grownCounter = (name: string): ObjectRequest => ({ kind: 'counter', role: part(name, quotaPart.grown) });
const chargedCounter = (name: string): ObjectRequest => ({ kind: 'counter', role: part(name, quotaPart.charged) });

function leftObject(name: string, { unit, amount }: QuotaDuty): ObjectRequest {
  const role = part(name, quotaPart.left);
  if (unit === 'bytes') return { kind: 'quota', role, bytes: Number(amount) };
  return { kind: 'limit', role, ...packetsLeft(Number(amount)) };
}

/** A limit of so many packets; none at all is what the set of the empty ones says. */
export const packetsLeft = (packets: number) => firstLimit(Math.max(1, packets))!;

const bothFamilies: readonly Element[] = [{ value: 'ipv4' }, { value: 'ipv6' }];

const emptySet = (name: string, { amount }: QuotaDuty): SetRequest => ({
  role: part(name, quotaPart.empty),
  key: { type: ['nf_proto'] },
  flags: ['dynamic'],
  size: 2,
  initial: amount === '0' ? bothFamilies : [],
});

const fitsSet = (name: string, { amount }: QuotaDuty): SetRequest => ({
  role: part(name, quotaPart.fits),
  key: { typeof: [meta('length')], of: ['packet_length'] },
  flags: ['interval'],
  size: 2,
  initial: fittingLengths(BigInt(amount)),
});

/** Lengths of packets that fit into so many bytes. */
export function fittingLengths(bytes: bigint): readonly Element[] {
  if (bytes <= 0n) return [];
  return [{ value: { range: [1, Number(bytes > longestPacket ? longestPacket : bytes)] } }];
}

function fits(test: Test, ground: Ground): MatchFragment {
  const { name, grow, noChange } = test;
  const duty = declared(name, ground);
  if (grow && noChange) return always;
  if (grow) return { stateful: true, anyOf: [{ statements: [counter(ground.object(grownCounter(name)))] }] };
  if (noChange) return looks(name, duty, '==', ground);
  if (duty.unit === 'packets') return chargesPackets(name, duty, ground);
  return { stateful: true, anyOf: [{ statements: [quota(ground.object(leftObject(name, duty)))] }] };
}

/** `!` before a rule that adds is ignored by the original, where it says nothing; here it is an error. */
function fitsNot(test: Test, ground: Ground): MatchFragment {
  const { name, grow, noChange } = test;
  if (grow)
    ground.refuse('a rule that adds to a quota is for every packet, so that there is no opposite', 'leave "not" out');
  const duty = declared(name, ground);
  if (noChange) return looks(name, duty, '!=', ground);
  const charge = fits(test, ground);
  return {
    stateful: true,
    decide: (matched, others) =>
      'decide' in charge
        ? charge.decide(others, matched)
        : [
            ...charge.anyOf.map(({ statements }) => ({ statements: [...statements, ...others] })),
            { statements: matched },
          ],
  };
}

function looks(name: string, duty: QuotaDuty, op: '==' | '!=', ground: Ground): MatchFragment {
  if (duty.unit === 'bytes') return holds(match(meta('length'), setRef(ground.set(fitsSet(name, duty))), op));
  const isEmpty = setRef(ground.set(emptySet(name, duty)));
  return holds(match(meta('nfproto'), isEmpty, op === '==' ? '!=' : '=='));
}

/** The packet that finds no token left marks its family as empty, so that tokens of later days don't let it through. */
function chargesPackets(name: string, duty: QuotaDuty, ground: Ground): MatchFragment {
  const empty = ground.set(emptySet(name, duty));
  const charged = counter(ground.object(chargedCounter(name)));
  const isEmpty = match(meta('nfproto'), setRef(empty));
  if (!isExact(duty)) {
    return { stateful: true, anyOf: [{ statements: [match(meta('nfproto'), setRef(empty), '!='), charged] }] };
  }
  const takes = limit(ground.object(leftObject(name, duty)));
  return {
    stateful: true,
    decide: (matched, others) => [
      { statements: [isEmpty, ...others] },
      { statements: [takes, charged, ...matched] },
      { statements: [addTo(empty, meta('nfproto')), ...others] },
      { statements: others },
    ],
  };
}

function translated(options: ReadonlyMap<string, IptablesOption>) {
  const amount = options.get('quota');
  const name = (options.get('name')?.value || 'quota').slice(0, 14).replace(/[^A-Za-z0-9_./-]/g, '_');
  const grow = options.has('grow');
  const noChange = options.has('no-change');
  const value = grow || noChange ? { name, ...(grow && { grow }), ...(noChange && { no_change: noChange }) } : name;
  const negated = amount?.negated === true && !grow;
  const bound = (text: string): number => {
    if (!/^(0x[0-9a-f]+|-?[0-9]+)$/i.test(text)) throw new PosternError('invalid', `--quota ${text} is no amount`);
    const number = BigInt(/^0[0-7]+$/.test(text) ? `0o${text}` : text);
    return Number(number < 0n || number > mostInQuota ? mostInQuota : number);
  };
  const unit = options.has('packets') ? 'packets' : 'bytes';
  const notes = options.get('name')?.value
    ? []
    : ['a quota without a name was one of its own rule; here each needs a name'];
  return {
    match: { quota: !negated ? value : typeof value === 'string' ? `not ${value}` : { not: value } },
    sections: [['quotas', name, { [unit]: bound(amount?.value ?? '0') }]] as const,
    ...(notes.length > 0 && { notes }),
  };
}
