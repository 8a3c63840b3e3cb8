/** One rule in a chain: what the compiler says to it. */

import { compilePolicy } from '../../src/compiler/compile.js';
import { vocabulary } from '../../src/extensions/registry.js';
import { parsePolicy } from '../../src/policy/parse.js';

export interface Said {
  /** `line:column message; hint` of each error. */
  readonly errors: readonly string[];
  /** `line:column message`, as `compile --explain` prints them. */
  readonly notes: readonly string[];
}

/** What else the policy has: the device of an ingress chain, and sections. */
interface Around {
  readonly device?: string;
  readonly sections?: string;
}

export function compileOne(chain: string, rule: string, { device = 'eth0', sections = '' }: Around = {}): Said {
  const on = chain === 'ingress' ? `    on: ${device}\n` : '';
  const text = `version: 1\nchains:\n  ${chain}:\n${on}    rules:\n      - ${rule}\n${sections}`;
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml', vocabulary });
  const compiled = policy === undefined ? { diagnostics } : compilePolicy(policy);
  return {
    errors: compiled.diagnostics
      .filter(({ severity }) => severity === 'error')
      .map(({ at, message, hint }) => `${at.line}:${at.column} ${message}${hint === undefined ? '' : `; ${hint}`}`),
    notes: ('plan' in compiled ? (compiled.plan?.notes ?? []) : []).map(
      ({ at, message }) => `${at.line}:${at.column} ${message}`,
    ),
  };
}
