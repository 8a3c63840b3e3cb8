/** Which rules looked at the packet, in order, and how far their matches held. From the trace of a twin. */

import type { Hook, Origin } from '../nft/model.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import type { Outcome, Step } from './reading.js';
import type { RuleRef } from './twin.js';

/** One nft rule that was reached. */
export interface Considered {
  readonly rule: RuleRef;
  /** How many of its matches held, from the first on. */
  readonly held: number;
  /** All of it took effect. */
  readonly took: boolean;
  readonly verdict?: Step['verdict'];
}

/** A chain that the packet went through. */
export interface Visit {
  readonly hook: Hook;
  readonly table: string;
  readonly chain: string;
  readonly considered: readonly Considered[];
  /** How the chain was left when no rule of it ended it. */
  readonly end?: 'accept' | 'drop' | 'return';
}

interface OpenVisit {
  readonly key: string;
  readonly hook: Hook;
  readonly table: string;
  readonly chain: string;
  readonly rules: readonly RuleRef[];
  readonly considered: Considered[];
  readonly held: Map<number, number>;
  next: number;
  end?: Visit['end'];
}

/** The chains of our own tables in the order in which the packet entered them. */
export function visitsOf({ steps }: Outcome, rules: readonly RuleRef[]): Visit[] {
  const byChain = new Map<string, RuleRef[]>();
  for (const rule of rules) {
    const key = keyOf(NFPROTO[rule.family], rule.table, rule.chain);
    byChain.set(key, [...(byChain.get(key) ?? []), rule]);
  }
  const visits: OpenVisit[] = [];
  const open: OpenVisit[] = [];
  for (const step of steps) {
    const key = keyOf(step.family, step.table, step.chain);
    const own = byChain.get(key);
    if (own === undefined && step.mark === undefined && !isOwnPolicy(step, rules)) continue;
    const at = open.findLastIndex((visit) => visit.key === key);
    for (const left of open.splice(at < 0 ? open.length : at + 1)) finish(left);
    let visit = open.at(-1);
    if (at < 0 || visit === undefined) {
      const { hook, table, chain } = step;
      visit = { key, hook, table, chain, rules: own ?? [], considered: [], held: new Map(), next: 0 };
      visits.push(visit);
      open.push(visit);
    }
    if (take(visit, step)) open.pop();
  }
  return visits.map(({ hook, table, chain, considered, end }) => ({
    ...{ hook, table, chain, considered },
    ...(end !== undefined && { end }),
  }));
}

const keyOf = (family: number, table: string, chain: string): string => `${family} ${table} ${chain}`;

/** A chain without rules of a table of ours has a policy all the same. */
const isOwnPolicy = ({ kind, table }: Step, rules: readonly RuleRef[]): boolean =>
  kind === 'policy' && rules.some((rule) => rule.table === table);

/** Answers whether the chain is left for good. */
function take(visit: OpenVisit, { mark, kind, verdict }: Step): boolean {
  if (mark?.part === 'prefix') {
    visit.held.set(mark.number, mark.held);
    return false;
  }
  if (mark === undefined) {
    finish(visit);
    // A base chain's end is told twice, as a return and then as its policy.
    visit.end = kind === 'policy' && (verdict === 'accept' || verdict === 'drop') ? verdict : 'return';
    return kind === 'policy';
  }
  const at = visit.rules.findIndex(({ number }) => number === mark.number);
  failUpTo(visit, at);
  const rule = visit.rules[at];
  if (rule !== undefined) visit.considered.push({ rule, held: rule.prefixes, took: true, verdict });
  visit.next = at + 1;
  return verdict !== 'continue' && verdict !== 'jump';
}

function failUpTo(visit: OpenVisit, end: number): void {
  for (const rule of visit.rules.slice(visit.next, end)) {
    visit.considered.push({ rule, held: visit.held.get(rule.number) ?? 0, took: false });
  }
  visit.next = Math.max(visit.next, end);
}

function finish(visit: OpenVisit): void {
  failUpTo(visit, visit.rules.length);
}

/** A rule of the policy that did not take the packet, by the nft rule of it that came closest. */
export interface Miss {
  readonly at: Origin;
  readonly closest: Considered;
}

/** What became of one rule of the policy in one chain. */
export interface Judged {
  readonly at: Origin | undefined;
  readonly closest: Considered;
}

/** The rules of the policy that a visit considered, each once: by what took the packet, else by what came closest. */
export function judged({ considered }: Visit): Judged[] {
  const byPlace = new Map<string, Judged>();
  for (const one of considered) {
    const { origin } = one.rule.rule;
    const key = origin === undefined ? `#${one.rule.number}` : `${origin.file}:${origin.line}:${origin.column}`;
    const known = byPlace.get(key);
    if (known === undefined || isCloser(one, known.closest)) byPlace.set(key, { at: origin, closest: one });
  }
  return [...byPlace.values()];
}

/** Of those that took it the last one says what came of it. */
const isCloser = (one: Considered, than: Considered): boolean =>
  one.took === than.took ? one.took || one.held > than.held : one.took;

/**
 * Rules of the policy that came closest, best first; each held at least one match.
 * @param counts which rules would have made a difference; all when absent
 */
export function nearMisses(visits: readonly Visit[], counts: (at: Origin) => boolean = () => true, most = 3): Miss[] {
  const missed = visits.flatMap(judged).flatMap(({ at, closest }) => {
    return at === undefined || closest.took || closest.held === 0 || !counts(at) ? [] : [{ at, closest }];
  });
  const left = ({ closest: { rule, held } }: Miss): number => rule.prefixes - held;
  return missed.sort((a, b) => left(a) - left(b) || b.closest.held - a.closest.held).slice(0, most);
}
