/**
 * The twin of a ruleset: before each rule stand its matches as rules of their own, without a verdict, one more in each.
 * The trace then says how far the matches of a rule held. The rules themselves are unchanged, so that the twin decides
 * as the plain ruleset does. It is loaded on a scratch host only.
 */

import type { Rule, Ruleset, Statement, Table } from '../nft/model.js';

/** A rule of the ruleset, by its number in all of it. */
export interface RuleRef {
  readonly number: number;
  readonly family: Table['family'];
  readonly table: string;
  readonly chain: string;
  /** In its chain, from 0. */
  readonly index: number;
  readonly rule: Rule;
  /** How many of its first statements are matches that the twin repeats. */
  readonly prefixes: number;
}

/** A ruleset whose rules carry their numbers as comments. */
export interface Marked {
  readonly ruleset: Ruleset;
  readonly rules: readonly RuleRef[];
}

/** What the comment of a loaded rule says. */
export type Mark =
  | { readonly part: 'rule'; readonly number: number }
  /** The first `held` matches of the rule. */
  | { readonly part: 'prefix'; readonly number: number; readonly held: number };

/** @param twin false: the rules alone, for when nobody asks why */
export function markRules(ruleset: Ruleset, { twin }: { readonly twin: boolean }): Marked {
  const rules: RuleRef[] = [];
  const tables = ruleset.tables.map((table) => ({
    ...table,
    chains: table.chains.map((chain) => ({
      ...chain,
      rules: chain.rules.flatMap((rule, index) => {
        const number = rules.length;
        const prefixes = repeatable(rule.statements);
        rules.push({ number, family: table.family, table: table.name, chain: chain.name, index, rule, prefixes });
        return [...(twin ? prefixRules(rule, number, prefixes) : []), { ...rule, comment: `r:${number}` }];
      }),
    })),
  }));
  return { ruleset: { tables }, rules };
}

function prefixRules({ statements }: Rule, number: number, prefixes: number): Rule[] {
  return Array.from({ length: prefixes }, (_, index) => ({
    statements: statements.slice(0, index + 1),
    comment: `w:${number}:${index + 1}`,
  }));
}

/** Undefined when the comment is none of ours. */
export function readMark(comment: string): Mark | undefined {
  const found = /^(?:r:(\d+)|w:(\d+):(\d+))$/.exec(comment);
  if (found === null) return undefined;
  if (found[1] !== undefined) return { part: 'rule', number: Number(found[1]) };
  return { part: 'prefix', number: Number(found[2]), held: Number(found[3]) };
}

/** Matches at the rule's beginning that may be asked twice: they remember nothing and leave nothing to chance. */
function repeatable(statements: readonly Statement[]): number {
  const first = statements.findIndex((statement) => !('match' in statement) || isFickle(statement.match));
  return first < 0 ? statements.length : first;
}

function isFickle(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  if ('numgen' in node) return true;
  if ('meta' in node && (node.meta as { key?: unknown }).key === 'random') return true;
  return Object.values(node).some(isFickle);
}
