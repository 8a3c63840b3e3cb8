/** psd as rules alone: ports that are remembered, and a weight that an element's limit keeps, one unit a line. */

import type { Family } from '../net/address.js';
import { addTo, deleteFrom, goto, jump, limit, match, returnVerdict, setRef, th, update } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { type Decision, endingChain } from './decision.js';
import type { Line } from './fragment.js';
import { nameOf, type PsdSpec, pair, pairSet, source, sourceSet } from './psd-sets.js';
import { firstLimit } from './rate.js';
import type { SetRequest, Site } from './site.js';
import { hasReset } from './tcp-flags.js';

interface Memory {
  /** Ports that count no more. */
  readonly seen: SetRequest;
  /** Sources that go on. */
  readonly alive: SetRequest;
  /** What they have left until the threshold. */
  readonly weight: SetRequest;
  /** Sources that scan. */
  readonly over: SetRequest;
}

const memoryOf = (spec: PsdSpec, family: Family): Memory => ({
  seen: pairSet(spec, 'seen', family),
  alive: sourceSet(spec, 'alive', family),
  // It outlives the source's being alive.
  weight: {
    ...sourceSet(spec, 'weight', family, spec.size * 2),
    variant: `${spec.weight_threshold} ${spec.lo_ports_weight} ${spec.hi_ports_weight}`,
  },
  over: sourceSet(spec, 'over', family),
});

const shortestMemoryMs = 60_000;
const longestMemoryMs = 600_000;

/** As long as a scan can take whose ports come just in time. */
function memoryMs({ weight_threshold: threshold, delay_threshold: delayMs, ...weights }: PsdSpec): number {
  const least = Math.min(...[weights.lo_ports_weight, weights.hi_ports_weight].filter((one) => one > 0));
  return Math.min(longestMemoryMs, Math.max(shortestMemoryMs, Math.ceil(threshold / least) * delayMs));
}

export function kernelLines(spec: PsdSpec, { family, site, matched, others }: Decision): Line[] {
  const { seen, alive, weight, over } = memoryOf(spec, family);
  const isIn = (request: SetRequest, op: '==' | '!=' = '=='): Statement =>
    match(source(family), setRef(site.set(request)), op);
  const keep = (request: SetRequest): Statement =>
    update(site.set(request), source(family), { timeoutMs: spec.delay_threshold });
  const remember = addTo(site.set(seen), pair(family), { timeoutMs: memoryMs(spec) });
  const charge = jump(chargeChain(spec, family, site));
  const line = (...statements: readonly Statement[]): Line => ({ family, statements });
  const forgotten = [line(site.overflow(seen)), line(...others)];
  const first = endingChain(`first${family}`, site, [
    line(deleteFrom(site.set(weight), source(family))),
    line(addTo(site.set(alive), source(family), { timeoutMs: spec.delay_threshold }), charge),
    line(isIn(alive, '!='), site.overflow(alive), ...others),
    line(remember, ...others),
    ...forgotten,
  ]);
  const fresh = endingChain(`new${family}`, site, [
    line(isIn(over), keep(alive), keep(over), ...matched),
    line(isIn(alive, '!='), goto(first)),
    line(keep(alive), charge),
    line(isIn(over), ...matched),
    line(remember, ...others),
    ...forgotten,
  ]);
  return [line(hasReset, isIn(alive), ...others), line(match(pair(family), setRef(site.set(seen)), '!='), goto(fresh))];
}

/** Below, a port is privileged. */
const firstHighPort = 1024;

/** More lines for one packet cost more than the daemon. */
const mostUnits = 1000;
const unitsInChain = 10;

/** Takes the port's weight from what the source has left; a source with nothing left is over the threshold. */
function chargeChain(spec: PsdSpec, family: Family, site: Site): string {
  const { lo_ports_weight: lo, hi_ports_weight: hi, weight_threshold: threshold } = spec;
  const unit = greatestDivisor(lo, hi);
  const least = Math.ceil(threshold / unit);
  const { weight, over } = memoryOf(spec, family);
  const stem = `psd_${nameOf(spec)}`;
  const isOver = jump(
    site.sharedChain(`${stem}_over${family}`, [
      { family, statements: [addTo(site.set(over), source(family), { timeoutMs: spec.delay_threshold })] },
      { family, statements: [match(source(family), setRef(site.set(over)), '!='), site.overflow(over)] },
    ]),
  );
  const rest = firstLimit(Math.max(1, least - 1))!;
  const one: Line = {
    family,
    statements: [
      update(site.set(weight), source(family), { timeoutMs: memoryMs(spec), stmt: [limit({ ...rest, inv: true })] }),
      isOver,
    ],
  };
  const lines = (units: number): Line[] => {
    if (units === 0) return [];
    if (units >= least) return [{ family, statements: [isOver] }];
    if (units > mostUnits) {
      site.refuse(
        `a port of weight ${units * unit} would take ${units} steps for each packet`,
        'add "exact: true", or take weights and a threshold with a common divisor',
      );
    }
    const tens = Math.floor(units / unitsInChain);
    const ten = () => jump(site.sharedChain(`${stem}_ten${family}`, Array<Line>(unitsInChain).fill(one)));
    return [
      ...Array.from({ length: tens }, (): Line => ({ family, statements: [ten()] })),
      ...Array<Line>(units % unitsInChain).fill(one),
    ];
  };
  const full: Line[] = [
    { family, statements: [match(source(family), setRef(site.set(weight)), '!='), site.overflow(weight)] },
  ];
  const low = site.sharedChain(`${stem}_low${family}`, [...lines(lo / unit), ...(lo === 0 ? [] : full)]);
  return site.sharedChain(`${stem}_charge${family}`, [
    { family, statements: [match(th('dport'), firstHighPort, '<'), goto(low)] },
    ...lines(hi / unit),
    ...(hi === 0 ? [] : full),
    { family, statements: [returnVerdict] },
  ]);
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
