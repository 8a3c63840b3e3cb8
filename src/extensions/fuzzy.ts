/**
 * fuzzy: lets packets through up to a rate, fewer the more it is exceeded, and hardly any from a second rate on. The
 * kernel can't divide, so that the slope is a stair: a bucket for each step marks that its rate is exceeded, and the highest
 * mark says how a packet is drawn for. Steps and draws are those of the original's controller.
 */

import type { Static } from 'typebox';
import { limit, match, meta, numgen, setRef, update } from '../nft/build.js';
import { Type } from '../policy/schema-type.js';
import { type Extension, matchWord } from './extension.js';
import type { Line, MatchFragment } from './fragment.js';
import { numeral } from './iptables.js';
import { acceptance, areFuzzyLimits, type FuzzyLimits, passesUpTo } from './models/fuzzy.js';
import type { SetRequest, Site } from './site.js';

const most = 10_000_000;
const schema = Type.Object({
  lower_limit: Type.Integer({
    minimum: 3,
    maximum: most,
    default: 1000,
    description: 'Packets per second up to which none matches.',
  }),
  upper_limit: Type.Integer({
    minimum: 3,
    maximum: most,
    default: 2000,
    description: 'Packets per second from which 99 of 100 match.',
  }),
});

export const fuzzy: Extension = {
  name: 'fuzzy',
  summary: 'Matches packets above a rate, more of them the higher the rate is.',
  matches: [
    matchWord(
      {
        name: 'fuzzy',
        description: 'The packet is one too many: none below the lower limit, nearly all above the upper.',
        schema,
        negatable: true,
      },
      { compile: compileFuzzy },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'fuzzy',
      options: { 'lower-limit': 1, 'upper-limit': 1 },
      read: (options) => ({
        match: {
          fuzzy: Object.fromEntries(
            [...options].map(([option, { value = '' }]) => [option.replace('-', '_'), numeral(value)]),
          ),
        },
      }),
    },
  ],
  parity: {
    original: 'xt_fuzzy',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'the slope between the limits is a stair of 20 steps: within 5 points of the original at any steady rate',
      'a rate is over its step as soon as a bucket of a twentieth of a second is empty, and for 0.3 s more; the original takes the mean of each tenth of a second',
      'one rule counts both families together',
    ],
    checked:
      'vectors of the original on the controller that the steps are made from; eight steady rates at once through the kernel, against that controller fed with the same times',
  },
};

const steps = 20;
const markMs = 300;
/** Part of a second for which a bucket takes a burst. */
const burstShare = 20;

/** A step of the stair: above `rate` (packets per second) a packet matches when a random byte is above `passes`. */
export interface FuzzyStep {
  readonly rate: number;
  readonly passes: number;
}

/** The stair of a controller: each step stands for the middle of its rates. */
export function fuzzySteps(limits: FuzzyLimits): readonly FuzzyStep[] {
  const span = limits.upper - limits.lower;
  const found = new Map<number, FuzzyStep>();
  for (let step = 0; step < steps; step++) {
    const rate = Math.max(1, Math.round(limits.lower + (span * (step + 0.5)) / steps));
    const middle = Math.round(limits.lower + (span * (step + 1)) / steps);
    // Where the limits are near to each other several steps are one.
    found.set(rate, { rate, passes: passesUpTo(acceptance(limits, middle)) });
  }
  return [...found.values()];
}

function compileFuzzy({ lower_limit: lower, upper_limit: upper }: Static<typeof schema>, site: Site): MatchFragment {
  const limits = { lower, upper };
  if (!areFuzzyLimits(limits)) {
    site.refuse(`the upper limit (${upper}) is not above the lower (${lower})`, 'take a higher one');
  }
  const levels = fuzzySteps(limits).map((step, index) => ({ ...step, set: site.set(markSet(index, limits, site)) }));
  const family = meta('nfproto');
  return {
    stateful: true,
    decide: (matched, others): Line[] => [
      ...levels.map(({ rate, set }) => ({
        statements: [
          limit({ rate, per: 'second', burst: Math.max(2, Math.round(rate / burstShare)), inv: true }),
          update(set, family, { timeoutMs: markMs }),
        ],
      })),
      ...levels
        .toReversed()
        .flatMap(({ passes, set }) => [
          { statements: [match(family, setRef(set)), match(numgen('random', 256), passes, '>'), ...matched] },
          { statements: [match(family, setRef(set)), ...others] },
        ]),
      { statements: others },
    ],
  };
}

const markSet = (level: number, { lower, upper }: FuzzyLimits, site: Site): SetRequest => ({
  role: { kind: 'extension', extension: 'fuzzy', name: `${site.rule.id}_${lower}_${upper}`, purpose: `level${level}` },
  key: { type: ['nf_proto'] },
  flags: ['dynamic', 'timeout'],
  size: 2,
});
