/** The compiler: a policy in, a plan out, or what of the policy can't be done, with the place in its text. */

import type { Extension } from '../extensions/extension.js';
import type { CountrySizes } from '../extensions/geoip-names.js';
import { extensions as allExtensions, wordsOf } from '../extensions/registry.js';
import type { Ruleset } from '../nft/model.js';
import { renderRuleset } from '../nft/render.js';
import type { AccountDecl, Chain, Policy, Rule, TableDecl } from '../policy/ast.js';
import type { Diagnostic } from '../policy/diagnostics.js';
import { ChainCompiler } from './chains.js';
import { addConntrack } from './conntrack.js';
import { refuseDeepChains } from './depth.js';
import { Draft } from './draft/draft.js';
import { digest, Names } from './draft/names.js';
import { originOf } from './draft/origin.js';
import { tableName } from './draft/ruleset.js';
import { checkIpsets, describeIpset, ipsetsOf } from './ipsets.js';
import { compileNat } from './nat/nat.js';
import type { Manifest, Note, Plan, PlanAccount, PlanTable } from './plan.js';
import { reachOf } from './reach.js';
import type { KnownRule } from './rule.js';
import { CompilerGround } from './site.js';
import { declareTables } from './tables.js';
import { userMarks } from './user-marks.js';

export interface CompileOptions {
  /** All of them when absent. */
  readonly extensions?: readonly Extension[];
  /** What is in force: mark bits and NFLOG groups stay as they are. */
  readonly previous?: Manifest;
  /** What is known of databases of countries; rules that look into large ones are made otherwise. */
  readonly countries?: CountrySizes;
}

export interface CompileResult {
  /** Absent when there is an error among the diagnostics. */
  readonly plan?: Plan;
  /** In the order of the text. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Compiles a policy that was read with the vocabulary of the same extensions. Doesn't throw on any policy. */
export function compilePolicy(policy: Policy, options: CompileOptions = {}): CompileResult {
  const words = wordsOf(options.extensions ?? allExtensions);
  const draft = new Draft(policy, userMarks(policy, words), options.previous, options.countries);
  declareTables(draft);
  draft.attempt(() => checkIpsets(draft));
  compileSections(draft, words);
  const known = knownRules(policy);
  const compiler = { draft, words };
  const rulesOf = ({ name, rules }: Pick<Chain, 'name' | 'rules'>) =>
    rules.map((rule, index) => known(rule, name, index));
  compileNat(compiler, rulesOf({ name: 'nat', rules: policy.nat }));
  new ChainCompiler(compiler, reachOf(policy, words), rulesOf).compileAll();
  addConntrack(draft);
  refuseDeepChains(draft);
  const diagnostics = sorted(draft.diagnostics);
  return hasErrors(draft) ? { diagnostics } : { plan: planOf(draft), diagnostics };
}

const hasErrors = ({ diagnostics }: Draft): boolean => diagnostics.some(({ severity }) => severity === 'error');

const sorted = (diagnostics: readonly Diagnostic[]): Diagnostic[] =>
  [...diagnostics].sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);

function compileSections(draft: Draft, words: ReturnType<typeof wordsOf>): void {
  for (const [section, entries] of draft.policy.sections) {
    for (const entry of entries.values()) {
      const ground = new CompilerGround(draft, entry.at, `${section}_${entry.name}`);
      draft.attempt(() => words.section(section)?.compile(entry.name, entry.spec, ground));
    }
  }
}

/** Gives every rule its id: its name, or its chain with a digest of its text, so that it keeps its counters when it moves. */
function knownRules(policy: Policy): (rule: Rule, chain: string, index: number) => KnownRule {
  const names = new Names();
  const ids = new Map<Rule, string>();
  const give = (rule: Rule, wanted: string) => ids.set(rule, names.claim(wanted, `${rule.at.line}:${rule.at.column}`));
  const all = [...policy.chains.values()].flatMap(({ name, rules }) => rules.map((rule) => ({ name, rule })));
  all.push(...policy.nat.map((rule) => ({ name: 'nat', rule })));
  for (const { rule } of all) if (rule.name !== undefined) give(rule, rule.name);
  const seen = new Map<string, number>();
  for (const { name, rule } of all.filter((known) => known.rule.name === undefined)) {
    const wanted = `${name}-${digest(rule.text, 6)}`;
    const count = (seen.get(wanted) ?? 0) + 1;
    seen.set(wanted, count);
    give(rule, count === 1 ? wanted : `${wanted}-${count}`);
  }
  return (ast, chain, index) => ({ ast, id: ids.get(ast)!, chain, number: index + 1 });
}

function planOf(draft: Draft): Plan {
  const ruleset = draft.ruleset.build();
  return {
    ruleset,
    manifest: manifestOf(draft, ruleset),
    tables: [...draft.policy.tables.values()].map(planTable),
    accounts: [...draft.policy.accounts.values()].map(planAccount),
    duties: draft.duties,
    notes: draft.notes,
    warnings: draft.diagnostics.map(noteOf),
  };
}

const noteOf = ({ at, message, hint }: Diagnostic): Note => ({
  at: originOf(at),
  message: hint === undefined ? message : `${message}; ${hint}`,
});

function manifestOf(draft: Draft, ruleset: Ruleset): Manifest {
  const ipsets = ipsetsOf(draft.policy);
  const text = ipsets.length === 0 ? '' : ipsets.map(describeIpset).join('\n');
  return {
    format: 1,
    digest: digest(renderRuleset(ruleset) + text, 64),
    tables: ruleset.tables.map(({ family }) => ({ family, name: tableName })),
    sets: draft.ruleset.manifestSets(),
    ...(ipsets.length > 0 && { ipsets }),
    objects: draft.ruleset.manifestObjects(),
    chains: draft.ruleset.manifestChains(),
    marks: draft.marks.fields,
    groups: draft.groups.all,
  };
}

const planTable = (decl: TableDecl): PlanTable => ({
  name: decl.name,
  ...(decl.timeoutMs !== undefined && { timeoutMs: decl.timeoutMs }),
  size: decl.size,
  counters: decl.counters,
  backend: decl.backend,
  ...(decl.ipset !== undefined && { ipset: decl.ipset.type }),
  unknown: decl.unknown,
  entries: decl.entries.map(({ range, not, at }) => ({ range, not, origin: originOf(at) })),
  origin: originOf(decl.at),
});

const planAccount = ({ name, networks, size, keep, at }: AccountDecl): PlanAccount => ({
  name,
  networks,
  size,
  keep,
  origin: originOf(at),
});
