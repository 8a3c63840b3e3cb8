/** Where the policy's chains hook in, and which rules can hold there. */

import type { Words } from '../extensions/registry.js';
import type { BaseChain, Hook } from '../nft/model.js';
import type { AddressTerm, BaseChainName, Chain, Match, Position, Rule } from '../policy/ast.js';
import type { Place } from '../policy/vocabulary.js';

/**
 * Priorities as in nft(8). `prerouting` and `postrouting` see private addresses: after dnat is undone, before snat is
 * done. Fragments are put together at -400.
 */
export const bases: Readonly<Record<BaseChainName, Omit<BaseChain, 'policy' | 'devices'>>> = {
  ingress: { type: 'filter', hook: 'ingress', priority: -500 },
  prerouting: { type: 'filter', hook: 'prerouting', priority: -150 },
  input: { type: 'filter', hook: 'input', priority: 0 },
  forward: { type: 'filter', hook: 'forward', priority: 0 },
  output: { type: 'filter', hook: 'output', priority: 0 },
  postrouting: { type: 'filter', hook: 'postrouting', priority: -150 },
};

/** In the order in which they are written. */
export const baseNames = Object.keys(bases) as readonly BaseChainName[];

/** The hooks of `filter:`. */
export const filterHooks: readonly BaseChainName[] = ['input', 'forward', 'output'];

export interface Misfit {
  readonly at: Position;
  readonly word: string;
  readonly reason: string;
}

/** Why the rule can't match in the hook; undefined when it can. Where its actions can stand the reader has checked. */
export function misfit({ matches }: Rule, hook: Hook, words: Words): Misfit | undefined {
  for (const match of matches) {
    const reason = reasonAgainst(match, hook, words);
    if (reason !== undefined) return { at: match.at, word: wordOf(match), reason };
  }
  return undefined;
}

const wordOf = (match: Match): string => (match.word === 'extension' ? match.name : match.word);

const isPlace = (hook: Hook, places: readonly Place[] | undefined): boolean =>
  places === undefined || places.some((place) => place === hook);

const withoutInput: readonly Hook[] = ['output'];
const withoutOutput: readonly Hook[] = ['ingress', 'prerouting', 'input'];
const untracked: readonly Hook[] = ['ingress'];
const afterDefragmentation: readonly Hook[] = ['output', 'postrouting'];

function reasonAgainst(match: Match, hook: Hook, words: Words): string | undefined {
  switch (match.word) {
    case 'in':
      return withoutInput.includes(hook) ? `in ${hook} no packet comes in` : undefined;
    case 'out':
      return withoutOutput.includes(hook) ? `in ${hook} it isn't known where a packet goes out` : undefined;
    case 'user':
    case 'group':
      return hook === 'output' ? undefined : `only packets of this host, in output, have a ${match.word}`;
    case 'state':
    case 'conns':
      return untracked.includes(hook) ? `in ${hook} connections aren't known yet` : undefined;
    case 'fragment':
      return afterDefragmentation.includes(hook) ? `in ${hook} fragments are not seen apart` : undefined;
    case 'from':
    case 'to':
      return againstAddresses(match, hook);
    case 'extension':
      return isPlace(hook, words.match(match.name).word.places) ? undefined : `it can't stand in ${hook}`;
    default:
      return undefined;
  }
}

function againstAddresses({ word, addresses }: AddressMatch, hook: Hook): string | undefined {
  if (addresses === 'any') return undefined;
  const { any, not } = addresses;
  if (hook === 'forward' && isOwn(any))
    return `a forwarded packet is never ${word === 'to' ? 'for' : 'from'} this host`;
  const asks = [...any, ...not].some(({ kind }) => kind === 'me');
  return hook === 'ingress' && asks ? "in ingress the kernel can't be asked which addresses are its own" : undefined;
}

type AddressMatch = Extract<Match, { word: 'from' | 'to' }>;

/** Are they all addresses of this host? */
const isOwn = (terms: readonly AddressTerm[]): boolean =>
  terms.length > 0 &&
  terms.every((term) => term.kind === 'me' || (term.kind === 'interface' && term.part === 'address'));

/** May what a rule compiles to differ between hooks in which it holds? */
function dependsOnHook({ matches, actions }: Rule): boolean {
  return (
    matches.some(({ word }) => word === 'extension' || word === 'via' || word === 'fragment') ||
    matches.some((match) => (match.word === 'from' || match.word === 'to') && namesInterface(match)) ||
    actions.some(({ action }) => action === 'extension' || action === 'notrack')
  );
}

function namesInterface({ addresses }: AddressMatch): boolean {
  return addresses !== 'any' && [...addresses.any, ...addresses.not].some(({ kind }) => kind === 'interface');
}

/** Can the chain be compiled once for all the hooks that it is reached from? */
export function isSameInHooks(
  chain: Chain,
  hooks: readonly Hook[],
  chains: ReadonlyMap<string, Chain>,
  words: Words,
): boolean {
  return chain.rules.every(
    (rule) =>
      !dependsOnHook(rule) &&
      hooks.every((hook) => misfit(rule, hook, words) === undefined) &&
      targetsOf(rule).every((target) => isSameInHooks(chains.get(target)!, hooks, chains, words)),
  );
}

/** Chains of the policy that a rule jumps or goes to. */
export const targetsOf = ({ actions }: Rule): string[] =>
  actions.flatMap((action) => (action.action === 'jump' || action.action === 'goto' ? [action.chain] : []));
