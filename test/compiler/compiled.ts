/** Policies of tests as the nft rules that they compile to. */

import { compilePolicy } from '../../src/compiler/compile.js';
import type { Manifest, Plan } from '../../src/compiler/plan.js';
import type { Extension } from '../../src/extensions/extension.js';
import { extensions as builtIn, vocabularyOf } from '../../src/extensions/registry.js';
import { renderRule } from '../../src/nft/render.js';
import type { Policy } from '../../src/policy/ast.js';
import type { Diagnostic } from '../../src/policy/diagnostics.js';
import { parsePolicy } from '../../src/policy/parse.js';

export interface TestOptions {
  readonly extensions?: readonly Extension[];
  readonly previous?: Manifest;
}

/** The policy of a text. @throws when it isn't one. */
export function policyOf(text: string, extensions: readonly Extension[] = builtIn): Policy {
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml', vocabulary: vocabularyOf(extensions) });
  if (policy === undefined) throw new Error(diagnostics.map(inWords).join('\n'));
  return policy;
}

/** The plan of a policy text. @throws with the diagnostics when there is none. */
export function planOf(text: string, { extensions = builtIn, previous }: TestOptions = {}): Plan {
  const options = { extensions, ...(previous && { previous }) };
  const { plan, diagnostics } = compilePolicy(policyOf(text, extensions), options);
  if (plan === undefined) throw new Error(diagnostics.map(inWords).join('\n'));
  return plan;
}

/** What the compiler says of a text that the reader takes, as `line:column message; hint`. */
export function diagnosticsOf(text: string, { extensions = builtIn }: TestOptions = {}): string[] {
  return compilePolicy(policyOf(text, extensions), { extensions }).diagnostics.map(inWords);
}

const inWords = ({ at, message, hint }: Diagnostic): string =>
  `${at.line}:${at.column} ${message}${hint === undefined ? '' : `; ${hint}`}`;

/** The rules of a chain, without comments and the counter that every rule of a policy has. */
export function rulesOf(plan: Plan, name: string): string[] {
  const chain = plan.ruleset.tables.flatMap(({ chains }) => chains).find((candidate) => candidate.name === name);
  if (chain === undefined) throw new Error(`no chain ${name}: ${chainsOf(plan).join(' ')}`);
  return chain.rules.map(({ statements }) =>
    renderRule({ statements })
      .text.replace(/counter name "c_[^"]*" ?/, '')
      .trim(),
  );
}

export const chainsOf = (plan: Plan): string[] =>
  plan.ruleset.tables.flatMap(({ chains }) => chains.map(({ name }) => name));

/** The rules that one rule of an input chain becomes, with the chains that they lead to below them. */
export function ruleIn(chain: 'input' | 'forward' | 'output' | 'prerouting' | 'postrouting', rule: string): string[] {
  const plan = planOf(`hygiene: off\nchains:\n  ${chain}:\n    rules:\n      - ${rule}\n`);
  const own = rulesOf(plan, chain).filter((text) => text !== 'ct state established,related accept');
  const below = chainsOf(plan).filter((name) => name.startsWith(`${chain}_`));
  return [...own, ...below.flatMap((name) => [`${name}:`, ...rulesOf(plan, name)])];
}
