/** Contents of sets whose shape changed: which set takes over from which, and in what form. */

import type { Manifest, ManifestSet, Plan } from '../compiler/plan.js';
import { decodeKey } from '../nft/key.js';
import type { Element, Rule, Ruleset, Statement } from '../nft/model.js';
import type { ElementState } from './kernel.js';

/** A set that went and the set that came for the same purpose; indexes of the two manifests. */
export interface Succession {
  readonly from: number;
  readonly to: number;
}

/**
 * The sets of a plan that take over the contents of sets with the same role and other names. Not those whose contents
 * the policy owns, nor those whose rules keep more than a counter in an element: a limit can't be read, and an element
 * that lacks its limit would match always.
 */
export function successions(plan: Plan, previous: Manifest | undefined): Succession[] {
  if (previous === undefined) return [];
  const taken = withOwnState(plan.ruleset);
  const kept = new Set(plan.manifest.sets.map(pathOf));
  const before = new Map(previous.sets.map((set, index) => [roleOf(set), { set, index }]));
  const known = new Set(previous.sets.map(pathOf));
  return plan.manifest.sets.flatMap((set, to) => {
    const old = before.get(roleOf(set));
    if (old === undefined || known.has(pathOf(set)) || kept.has(pathOf(old.set)) || taken.has(pathOf(set))) return [];
    return old.set.key.join() === set.key.join() ? [{ from: old.index, to }] : [];
  });
}

const pathOf = ({ table, name }: Pick<ManifestSet, 'table' | 'name'>): string => `${table} ${name}`;
const roleOf = ({ table, role }: ManifestSet): string => `${table} ${JSON.stringify(Object.entries(role).sort())}`;

/** Sets that can't be filled from others, by `family name`. */
function withOwnState({ tables }: Ruleset): Set<string> {
  const owned = tables.flatMap(({ family, sets }) =>
    sets
      .filter(({ elements, data }) => elements !== undefined || data !== undefined)
      .map(({ name }) => `${family} ${name}`),
  );
  const stateful = tables.flatMap(({ family, chains }) =>
    chains.flatMap(({ rules }) => rules.flatMap(statefulSets)).map((name) => `${family} ${name}`),
  );
  return new Set([...owned, ...stateful]);
}

const statefulSets = ({ statements }: Rule): string[] =>
  statements.flatMap((statement) =>
    'set' in statement && statement.set.stmt?.some(keepsMoreThanCounts) ? [statement.set.set.slice(1)] : [],
  );

const keepsMoreThanCounts = (statement: Statement): boolean => !('counter' in statement);

/**
 * Elements as they are written to the set that takes over. Those that it can't hold are left out: intervals in a set
 * of single values, elements of types without a text form.
 */
export function carriedElements(to: ManifestSet, states: readonly ElementState[]): Element[] {
  return states.flatMap((state): Element[] => {
    const isSingle = state.keyEnd === undefined || Buffer.compare(state.key, state.keyEnd) === 0;
    const value = isSingle || to.interval ? decodeKey(to.key, state) : undefined;
    return value === undefined ? [] : [{ value, ...elementTerms(to, state) }];
  });
}

/** Timeout, counter and comment of an element, as far as the set that takes over has them. */
export function elementTerms(
  to: ManifestSet,
  { timeoutMs, expiresMs, comment, packets, bytes }: ElementState,
): Omit<Element, 'value'> {
  return {
    ...(to.timeout && timeoutMs !== undefined && { timeoutMs, expiresMs: expiresMs ?? timeoutMs }),
    // In a set with a default timeout this is what makes an element permanent.
    ...(to.timeout && timeoutMs === undefined && { timeoutMs: 0 }),
    ...(to.counter && { counter: { packets: packets ?? 0n, bytes: bytes ?? 0n } }),
    ...(comment !== undefined && { comment }),
  };
}
