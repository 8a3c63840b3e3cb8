/** Knocks as a sequence of ports, which the kernel follows by itself. */

import type { Family } from '../net/address.js';
import {
  accept,
  deleteFrom,
  drop,
  goto,
  match,
  matchBits,
  meta,
  oneOf,
  payload,
  returnVerdict,
  setMarkBits,
  setRef,
} from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { addressOf } from './address-field.js';
import type { Line } from './fragment.js';
import { isKnown, isNew, listening, silencing, tell } from './knock-copies.js';
import { comesIn, families, grantedSet, isIn, memory } from './knock-sets.js';
import type { KnockSpec } from './knock-spec.js';
import type { Ground, SetRequest } from './site.js';

export interface Sequence extends KnockSpec {
  readonly ports: number[];
  readonly timeMs: number;
}

/**
 * A source that has knocked at the first i ports is in the set of stage i, as long as the next knock may take. It is asked
 * for from the last stage to the first, since it is in one of them only.
 */
export function compileSequence(name: string, sequence: Sequence, ground: Ground): void {
  const { ports, protocol } = sequence;
  const stages = ports.slice(1).map((_, index) => index + 1);
  ground.baseChain('knock', listening, [
    { statements: [match(meta('l4proto'), protocol, '!='), accept] },
    { statements: [isKnown, accept] },
    ...families.flatMap((family): Line[] => [
      { family, statements: [isIn(grantedSet(name, sequence, family), family, ground), accept] },
      ...stages.toReversed().map((stage) => ({
        family,
        statements: [
          isIn(stageSet(name, sequence, stage, family), family, ground),
          goto(ground.chain(`stage${stage}_${family}`, stageLines(name, sequence, stage, family, ground))),
        ],
      })),
      ...stepLines(name, sequence, 0, family, ground),
    ]),
  ]);
  const { mask } = lastKnock(ground);
  ground.baseChain('silence', silencing, [
    { statements: [matchBits(meta('mark'), mask, mask), drop] },
    ...families.map((family) => ({
      family,
      statements: [
        match(payload(protocol, 'dport'), oneOf([...new Set(ports)])),
        match(addressOf('source', family), setRef(ground.set(grantedSet(name, sequence, family))), '!='),
        isNew,
        drop,
      ],
    })),
  ]);
}

/** Other sequences may hear the last knock, too: it is dropped behind them all, and its source may come in by then. */
const lastKnock = (ground: Ground) => ground.markBits('packet', 'knock', 1);

const stageSet = (name: string, { size }: Sequence, stage: number, family: Family): SetRequest =>
  memory(name, `stage${stage}`, size, family);

function stageLines(name: string, sequence: Sequence, stage: number, family: Family, ground: Ground): Line[] {
  const steps = stepLines(name, sequence, stage, family, ground);
  if (!sequence.strict) return steps;
  return [...steps, { family, statements: [forget(name, sequence, stage, family, ground)] }];
}

const forget = (name: string, sequence: Sequence, stage: number, family: Family, ground: Ground): Statement =>
  deleteFrom(ground.set(stageSet(name, sequence, stage, family)), addressOf('source', family));

/** From a stage to the next, or in. A source that finds no place is counted. */
function stepLines(name: string, sequence: Sequence, stage: number, family: Family, ground: Ground): Line[] {
  const { ports, protocol, timeMs } = sequence;
  const isLast = stage === ports.length - 1;
  const next = isLast ? grantedSet(name, sequence, family) : stageSet(name, sequence, stage + 1, family);
  const knocks = match(payload(protocol, 'dport'), ports[stage]!);
  const place = comesIn(next, family, isLast ? sequence.autoclose : timeMs, ground);
  const leave = stage === 0 ? [] : [forget(name, sequence, stage, family, ground)];
  const { mask } = lastKnock(ground);
  const end = isLast ? [tell(`knock:${name}`, ground), setMarkBits('meta', mask, mask)] : [];
  return [
    { family, statements: [knocks, place, ...leave, ...end, returnVerdict] },
    { family, statements: [knocks, ground.overflow(next)] },
  ];
}
