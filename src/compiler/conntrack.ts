/**
 * Conntrack hooks in when a rule asks for it. Without it nat chains see no packet, and fragments aren't put together,
 * so that rules about ports miss all but the first.
 */

import { ct, matchAny } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import type { Draft } from './draft/draft.js';
import type { ChainDraft } from './draft/ruleset.js';

/** Adds a rule that changes nothing but needs conntrack, where something needs it and no rule has asked for it. */
export function addConntrack(draft: Draft): void {
  const chains = draft.ruleset.chains('inet');
  const isNeeded = draft.defragment || chains.some(({ base }) => base?.type === 'nat');
  if (!isNeeded || chains.some(usesConntrack)) return;
  const base = { type: 'filter', hook: 'prerouting', priority: -150, policy: 'accept' } as const;
  const chain = draft.ruleset.chain('conntrack', 'conntrack', base);
  const origin = { file: draft.policy.file, line: 1, column: 1 };
  chain.rules.push({ statements: [matchAny(ct('state'), ['invalid'])], origin });
}

const usesConntrack = ({ rules }: ChainDraft): boolean =>
  rules.some(({ statements }) => statements.some(needsConntrack));

const translations = ['snat', 'dnat', 'masquerade', 'redirect', 'ct helper', 'ct timeout', 'synproxy'];

function needsConntrack(statement: Statement): boolean {
  return translations.some((name) => name in statement) || reads(statement);
}

const reads = (node: unknown): boolean =>
  typeof node === 'object' && node !== null && ('ct' in node || 'ct count' in node || Object.values(node).some(reads));
