/** The compiler's side of `Ground` and `Site`: what a word asks for goes into the draft. */

import { isDeepStrictEqual } from 'node:util';
import type { Line } from '../extensions/fragment.js';
import type { CountrySizes } from '../extensions/geoip-names.js';
import type { Duty, MarkField } from '../extensions/roles.js';
import type { Ground, ObjectRequest, RuleFacts, SetRequest, Site, TableSets } from '../extensions/site.js';
import { counter, vmap } from '../nft/build.js';
import type { BaseChain, Expression, Hook, Origin, Rule, Statement, TableFamily, Verdict } from '../nft/model.js';
import type { Policy, Rule as PolicyRule, Position } from '../policy/ast.js';
import type { Place } from '../policy/vocabulary.js';
import { type Draft, refuse } from './draft/draft.js';
import { originOf } from './draft/origin.js';
import { ruleOf } from './line.js';
import { overflowOf, tableSets } from './tables.js';

/** What a section sees, and the part of a rule's site that doesn't depend on the rule. */
export class CompilerGround implements Ground {
  /**
   * @param owner whose names these are: an extension's word, or the policy's rule.
   * @param family the table that holds what is asked for without naming one.
   */
  constructor(
    readonly draft: Draft,
    readonly at: Position,
    readonly owner: string,
    readonly family: TableFamily = 'inet',
  ) {}

  get policy(): Policy {
    return this.draft.policy;
  }

  get countries(): CountrySizes | undefined {
    return this.draft.countries;
  }

  set(request: SetRequest): string {
    return this.draft.ruleset.set({ table: this.family, ...request }, originOf(this.at));
  }

  object(request: ObjectRequest): string {
    return this.draft.ruleset.object({ table: this.family, ...request }, originOf(this.at));
  }

  overflow(request: SetRequest): Statement {
    return counter(overflowOf(this.draft, { table: this.family, ...request }, originOf(this.at)));
  }

  chain(purpose: string, lines: readonly Line[], table = this.family): string {
    const name = `x_${this.owner}_${purpose}`;
    return this.draft.chainOf(name, name, lines, this.at, table);
  }

  sharedChain(name: string, lines: readonly Line[], table = this.family): string {
    return this.draft.chainOf(name, `shared ${name}`, lines, this.at, table);
  }

  baseChain(purpose: string, base: BaseChain, lines: readonly Line[], table = this.family): void {
    const name = `x_${this.owner}_${purpose}`;
    const chain = this.draft.ruleset.chain(name, name, base, table);
    chain.rules.push(...lines.map((line) => ruleOf(line, originOf(this.at), table)));
  }

  sharedBaseChain(name: string, base: BaseChain, lines: readonly Line[], table = this.family): void {
    const chain = this.draft.ruleset.chain(name, `shared ${name}`, base, table);
    for (const { statements } of lines.map((line) => ruleOf(line, originOf(this.at), table))) {
      if (chain.rules.some((rule) => isDeepStrictEqual(rule.statements, statements))) continue;
      chain.rules.push({ statements, origin: originOf(this.at) });
    }
  }

  sharedBranch(name: string, key: Expression, value: Expression, to: Verdict, table = this.family): void {
    const { rules } = this.draft.ruleset.chain(name, `shared ${name}`, undefined, table);
    addBranch(rules, key, [value, to], originOf(this.at));
  }

  numberOf(kind: string, thing: string): number {
    return this.draft.numberOf(kind, thing);
  }

  table(name: string): TableSets {
    return tableSets(this.draft, name, this.at);
  }

  markBits(of: MarkField['of'], owner: string, bits: number): MarkField {
    const field = this.draft.marks.claim(of, owner, bits);
    if (field !== undefined) return field;
    return this.refuse(
      `${bits} bits of the ${of} mark are needed here, and the policy leaves none free`,
      'give the policy\'s own marks a mask, as in "mark 0x1/0xff"',
    );
  }

  nflogGroup(owner: string): number {
    return this.draft.groups.claim(owner);
  }

  duty(duty: Duty): void {
    if (!this.draft.duties.some((known) => isDeepStrictEqual(known, duty))) this.draft.duties.push(duty);
  }

  defragment(): void {
    this.draft.defragment = true;
  }

  note(message: string): void {
    this.draft.note(this.at, message);
  }

  warn(message: string, hint?: string): void {
    this.draft.warn(this.at, message, hint);
  }

  refuse(message: string, hint?: string): never {
    return refuse(this.at, message, hint);
  }
}

type Branch = readonly [value: Expression, to: Verdict];

/** Adds a value to the lookup of the key; the first one makes it. */
function addBranch(rules: Rule[], key: Expression, branch: Branch, origin: Origin): void {
  const at = rules.findIndex(({ statements }) => isDeepStrictEqual(lookupOf(statements)?.key, key));
  const known = lookupOf(rules[at]?.statements ?? [])?.entries ?? [];
  if (known.some((entry) => isDeepStrictEqual(entry, branch))) return;
  const rule = { statements: [vmap(key, [...known, branch])], origin };
  if (at < 0) rules.push(rule);
  else rules[at] = rule;
}

function lookupOf([first]: readonly Statement[]): { key: Expression; entries: readonly Branch[] } | undefined {
  if (first === undefined || !('vmap' in first) || !('entries' in first.vmap)) return undefined;
  return first.vmap;
}

/** Where a chain of the policy is compiled: one hook, or several when nothing in it depends on the hook. */
export interface Standing {
  readonly family: TableFamily;
  readonly places: readonly Place[];
  readonly hooks: readonly Hook[];
  /** What the names of chains of its rules begin with. */
  readonly stem: string;
  readonly belowStateRule: boolean;
  /** What must hold here for the rule to be about the packets that the policy means. */
  readonly guard?: readonly Statement[];
  /** The nft chain of a chain of the policy, in these hooks. */
  chainNamed(name: string, from: RuleSite): string;
}

export class RuleSite extends CompilerGround implements Site {
  constructor(
    draft: Draft,
    at: Position,
    owner: string,
    readonly standing: Standing,
    readonly rule: RuleFacts,
    readonly ast: PolicyRule,
  ) {
    super(draft, at, owner, standing.family);
  }

  get places(): readonly Place[] {
    return this.standing.places;
  }

  get hooks(): readonly Hook[] {
    return this.standing.hooks;
  }

  get belowStateRule(): boolean {
    return this.standing.belowStateRule;
  }

  /** The same rule, seen from another of its words. */
  from(at: Position, owner = this.owner, rule = this.rule): RuleSite {
    return new RuleSite(this.draft, at, owner, this.standing, rule, this.ast);
  }

  /** Is this rule one of those that let packets through? */
  get accepts(): boolean {
    return this.ast.actions.some(({ action }) => action === 'accept');
  }

  /** Does any of the rule's hooks have this name? */
  runsIn(...hooks: readonly Hook[]): boolean {
    return this.hooks.some((hook) => hooks.includes(hook));
  }
}
