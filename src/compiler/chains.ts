/** The policy's chains as nft chains: what stands before and between their rules, and which rules go elsewhere. */

import type { Line } from '../extensions/fragment.js';
import { answersOwner } from '../extensions/responder.js';
import { accept, goto, matchBits, meta } from '../nft/build.js';
import type { BaseChain, Hook } from '../nft/model.js';
import type { BaseChainName, Chain, Position } from '../policy/ast.js';
import { type Draft, refuse } from './draft/draft.js';
import { originOf } from './draft/origin.js';
import type { ChainDraft } from './draft/ruleset.js';
import {
  compileFragmentRule,
  compileNotrack,
  compileRawRule,
  compileUntracked,
  hasFragment,
  hasNotrack,
  rawWord,
} from './elsewhere.js';
import { baseNames, bases, filterHooks, isSameInHooks, misfit } from './hooks.js';
import { badFlagsLine, type FilterHook, hygieneLines, invalidLine, stateLine } from './hygiene.js';
import { ingressTable, othersPass } from './ingress-table.js';
import { ruleOf } from './line.js';
import { passLines } from './nat/pass.js';
import { hooksOf, type Reach } from './reach.js';
import { type CompiledRule, compileRule, type KnownRule, type RuleCompiler } from './rule.js';
import type { RuleSite, Standing } from './site.js';
import { blockChain } from './words/verdicts.js';

/** The rules of the policy's chains, by the chain's name. */
export type KnownRules = (chain: Chain) => readonly KnownRule[];

/** A chain of the policy while its rules are written; it may go on in another nft chain. */
interface OpenChain {
  /** Of the nft chain that packets come to. */
  readonly name: string;
  current: ChainDraft;
}

const open = (chain: ChainDraft): OpenChain => ({ name: chain.name, current: chain });

export class ChainCompiler {
  readonly #compiled = new Set<ChainDraft>();

  constructor(
    readonly compiler: RuleCompiler,
    readonly reach: Reach,
    readonly known: KnownRules,
  ) {}

  compileAll(): void {
    const { draft } = this.compiler;
    const { chains, hygiene } = draft.policy;
    for (const chain of chains.values()) this.#refuseMisfits(chain);
    const filters = [...chains.values()].filter(({ kind }) => kind !== 'user');
    if (hygiene.badFlags && filters[0] !== undefined) this.#badFlags(filters[0].at);
    for (const name of baseNames) this.#compileBase(name);
  }

  /** The nft chain of a chain that a rule jumps to: one for all hooks, or one for each. */
  chainNamed(name: string, from: RuleSite): string {
    const { draft, words } = this.compiler;
    const chain = draft.policy.chains.get(name)!;
    const reached = [...(this.reach.get(name) ?? [])];
    const isOne = reached.length <= 1 || isSameInHooks(chain, reached, draft.policy.chains, words);
    const hooks = isOne ? reached : from.hooks;
    if (!isOne) draft.note(chain.at, `${name} is compiled for each of its hooks: ${reached.join(', ')}`);
    const stem = isOne ? `u_${name}` : `u_${name}_${hooks.join('_')}`;
    const target = draft.ruleset.chain(stem, `user ${name} ${isOne ? '' : hooks.join()}`);
    if (this.#compiled.has(target)) return target.name;
    this.#compiled.add(target);
    const standing = this.#standing(hooks, target.name, false);
    const written = open(target);
    for (const rule of this.known(chain)) {
      if (hooks.some((hook) => misfit(rule.ast, hook, words) === undefined)) this.#put(written, rule, hooks, standing);
    }
    return target.name;
  }

  /** In a base chain every rule must be able to hold; in a chain of several hooks, in one of them. */
  #refuseMisfits(chain: Chain): void {
    const { draft, words } = this.compiler;
    const hooks = chain.kind === 'user' ? [...(this.reach.get(chain.name) ?? [])] : hooksOf(chain);
    for (const rule of chain.rules) {
      const misfits = hooks.map((hook) => misfit(rule, hook, words));
      const [first] = misfits;
      if (first === undefined || misfits.some((found) => found === undefined)) continue;
      const where = hooks.length > 1 ? ` (nor in ${hooks.slice(1).join(', ')})` : '';
      const message = `${first.word} can never match here: ${first.reason}${where}`;
      draft.attempt(() => refuse(first.at, message, 'take it out, or write the rule in another chain'));
    }
  }

  #compileBase(name: BaseChainName): void {
    const { draft, words } = this.compiler;
    const { chains } = draft.policy;
    const chain = chains.get(name) ?? (filterHooks.includes(name) ? chains.get('filter') : undefined);
    if (chain === undefined) return;
    const { hook } = bases[name];
    const rules = this.known(chain).filter(({ ast }) => misfit(ast, hook, words) === undefined);
    if (name === 'ingress') {
      this.#ingress(chain, rules);
      return;
    }
    const target = open(draft.ruleset.chain(name, name, baseOf(chain, name)));
    if (isFilterHook(hook)) this.#filter(target, hook, rules, chain.at);
    else for (const rule of rules) this.#putIn(target, hook, rule, false);
    this.#blockRest(target, chain);
  }

  #blockRest(target: OpenChain, chain: Chain): void {
    const { draft } = this.compiler;
    if (chain.policy === 'block' && draft.policy.blockPolicy === 'return') {
      this.#lines(target, [{ statements: [goto(blockChain(draft, chain))] }], chain.at);
    }
  }

  #ingress(chain: Chain, rules: readonly KnownRule[]): void {
    const { draft, words } = this.compiler;
    const { family, because } = ingressTable(chain, words);
    draft.note(chain.at, `ingress stands in ${family}: ${because}`);
    const target = open(draft.ruleset.chain('ingress', 'ingress', baseOf(chain, 'ingress'), family));
    const others = family === 'netdev' ? othersPass(chain) : undefined;
    if (others !== undefined) target.current.rules.push({ statements: others, origin: originOf(chain.at) });
    for (const rule of rules) {
      this.#put(target, rule, ['ingress'], { ...this.#standing(['ingress'], target.name, false), family });
    }
    this.#blockRest(target, chain);
  }

  /**
   * Known connections are accepted where the policy says so, or else before the first rule that does more than count;
   * connections whose translation says so pass right behind.
   */
  #filter(target: OpenChain, hook: FilterHook, rules: readonly KnownRule[], at: Position): void {
    const { draft } = this.compiler;
    const { hygiene } = draft.policy;
    const written = rules.findIndex((rule) => this.#acceptsKnown(rule));
    const dropInvalid = hygiene.invalid && hook !== 'output';
    if (hook === 'output') this.#lines(target, answerLines(draft), at);
    const before = written >= 0 ? written : rules.findIndex((rule) => !onlyCounts(rule));
    const split = before < 0 ? rules.length : before;
    if (written >= 0) this.#lines(target, hygieneLines(hook, hygiene), at);
    for (const rule of rules.slice(0, split)) this.#putIn(target, hook, rule, false);
    if (written < 0)
      draft.note(at, `${hook}: packets of known connections are accepted before ${firstOf(rules, split)}`);
    if (written < 0) this.#lines(target, [stateLine(hook, dropInvalid && !rules.some(judgesInvalid))], at);
    else if (dropInvalid && !rules.some(judgesInvalid)) this.#lines(target, [invalidLine], at);
    const behind = written < 0 ? rules.slice(split) : rules.slice(split + 1);
    if (written >= 0) this.#putIn(target, hook, rules[split]!, false);
    if (hook !== 'output') this.#lines(target, passLines(draft), at);
    if (written < 0) this.#lines(target, hygieneLines(hook, hygiene), at);
    for (const rule of behind) this.#putIn(target, hook, rule, true);
  }

  /** Is it the rule, or does it always jump to a chain that has it? */
  #acceptsKnown(rule: KnownRule): boolean {
    if (isStateRule(rule)) return true;
    const { matches, actions } = rule.ast;
    return actions.some((action) => {
      if (action.action !== 'jump' || matches.length > 0) return false;
      const chain = this.compiler.draft.policy.chains.get(action.chain);
      return chain !== undefined && this.known(chain).some((inner) => this.#acceptsKnown(inner));
    });
  }

  #putIn(target: OpenChain, hook: Hook, rule: KnownRule, belowStateRule: boolean): void {
    const stem = rule.chain === target.name ? target.name : `${target.name}_${rule.chain}`;
    this.#put(target, rule, [hook], this.#standing([hook], stem, belowStateRule));
  }

  #put(target: OpenChain, rule: KnownRule, hooks: readonly Hook[], standing: Standing): void {
    this.compiler.draft.attempt(() => {
      const { rules, rest } = this.#rules(rule, hooks, standing);
      target.current.rules.push(...rules);
      target.current = rest ?? target.current;
    });
  }

  #rules(rule: KnownRule, hooks: readonly Hook[], standing: Standing): CompiledRule {
    const [hook] = hooks;
    const { draft, words } = this.compiler;
    if (hasFragment(rule) && hook !== 'ingress') {
      const chain = draft.policy.chains.get(rule.chain)!;
      const all = hooksOf(chain).filter((candidate) => misfit(rule.ast, candidate, words) === undefined);
      // A rule of several hooks goes there once.
      if (hook === all[0]) compileFragmentRule(this.compiler, rule, all);
      return { rules: [] };
    }
    const raw = hasNotrack(rule) ? 'notrack' : rawWord(rule, words);
    if (raw !== undefined && draft.policy.chains.get(rule.chain)?.kind === 'user') {
      return refuse(rule.ast.at, `${raw} works where no rule can jump from`, 'write the rule in a base chain');
    }
    if (hasNotrack(rule)) {
      for (const one of hooks) if (one === 'prerouting' || one === 'output') compileNotrack(this.compiler, rule, one);
      return compileUntracked(this.compiler, rule, standing);
    }
    if (raw !== undefined) {
      for (const one of hooks) compileRawRule(this.compiler, rule, one, raw);
      return { rules: [] };
    }
    return compileRule(this.compiler, rule, standing);
  }

  #standing(hooks: readonly Hook[], stem: string, belowStateRule: boolean): Standing {
    const places = baseNames.filter((name) => hooks.includes(bases[name].hook));
    const chainNamed = (name: string, from: RuleSite) => this.chainNamed(name, from);
    return { family: 'inet', places, hooks, stem, belowStateRule, chainNamed };
  }

  #lines(target: OpenChain, lines: readonly Line[], at: Position): void {
    target.current.rules.push(...lines.map((line) => ruleOf(line, originOf(at), 'inet')));
  }

  /** Where packets come in, before anything else sees them. */
  #badFlags(at: Position): void {
    const base: BaseChain = { type: 'filter', hook: 'prerouting', priority: -310, policy: 'accept' };
    this.#lines(open(this.compiler.draft.ruleset.chain('bad_flags', 'hygiene', base)), [badFlagsLine()], at);
  }
}

const firstOf = (rules: readonly KnownRule[], index: number): string =>
  rules[index] === undefined ? 'the policy decides' : `the rule in line ${rules[index].ast.at.line}`;

const isFilterHook = (hook: Hook): hook is FilterHook => hook === 'input' || hook === 'forward' || hook === 'output';

function baseOf(chain: Chain, name: BaseChainName): BaseChain {
  const devices = chain.kind === 'ingress' && { devices: (chain.on ?? []).map(({ device }) => device) };
  const policy = chain.policy === undefined || chain.policy === 'accept' ? 'accept' : 'drop';
  return { ...bases[name], policy, ...devices };
}

/** What the daemon answers for traps passes. */
function answerLines({ marks }: Draft): Line[] {
  const mask = marks.fields.find(({ owner }) => owner === answersOwner)?.mask;
  return mask === undefined ? [] : [{ statements: [matchBits(meta('mark'), mask, mask), accept] }];
}

/** Rules that let every packet go on and only count it. */
const onlyCounts = ({ ast }: KnownRule): boolean =>
  ast.actions.every(({ action }) => action === 'count' || action === 'account');

/** Accepts packets of known connections, of all or of those of an interface. */
const isStateRule = ({ ast }: KnownRule): boolean =>
  ast.actions.some(({ action }) => action === 'accept') &&
  ast.matches.some((match) => match.word === 'state' && match.states.any.includes('established')) &&
  ast.matches.every(({ word }) => ['state', 'in', 'out', 'via', 'family'].includes(word));

const judgesInvalid = ({ ast }: KnownRule): boolean =>
  ast.matches.some((match) => match.word === 'state' && match.states.any.includes('invalid'));
