/** All words that a policy can use: the core's and those of a vocabulary. */

import type { TSchema } from 'typebox';
import { PosternError } from '../../errors.js';
import type { Action, Match } from '../ast.js';
import { keywordsOf } from '../keywords.js';
import { type Phrase, phrase } from '../phrase.js';
import type { ActionWord, MatchWord, Place, SectionWord, Vocabulary } from '../vocabulary.js';
import { type ActionDefinition, coreActions } from './actions.js';
import { coreMatches, type MatchDefinition } from './matches.js';

/** Keys of a rule that are no matches. */
export const ruleKeys = ['do', 'log', 'name'] as const;

/** An action, ready to be read as a sentence or as a map. */
export interface KnownAction extends ActionDefinition {
  readonly sentence?: Phrase;
  /** May stand without options. */
  readonly bare: boolean;
}

export class Lexicon {
  readonly matches: ReadonlyMap<string, MatchDefinition>;
  readonly actions: ReadonlyMap<string, KnownAction>;
  readonly sections: ReadonlyMap<string, SectionWord>;

  /** @throws PosternError `internal` when two words have one name. */
  constructor(vocabulary: Vocabulary, coreSections: readonly string[]) {
    this.matches = byName([...coreMatches, ...vocabulary.matches.map(extensionMatch)], ruleKeys);
    this.actions = byName([...coreActions, ...vocabulary.actions.map(extensionAction)].map(known));
    this.sections = byName(vocabulary.sections, coreSections);
  }

  /** The matches that rules of `nat:`, or of chains, know; those that only nat has are unknown in chains. */
  matchWords(inNat: boolean): string[] {
    const ofNat = (places: readonly Place[] | undefined) => places?.every((place) => place === 'nat') ?? false;
    return [...this.matches.values()].filter(({ places }) => inNat || !ofNat(places)).map(({ name }) => name);
  }

  /** Where a rule with this match can apply; undefined: everywhere. */
  placesOfMatch(match: Match): readonly Place[] | undefined {
    return this.matches.get(wordOf(match))?.places;
  }

  /** Where an action of this name can stand. */
  placesOfAction(name: string): readonly Place[] {
    return this.actions.get(name)?.places ?? filteringPlaces;
  }
}

/** Where filter rules stand; the default of actions. */
export const filteringPlaces: readonly Place[] = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting'];

/** The key that the match was written as (`on` reads as `via`). */
export function wordOf(match: Match): string {
  return match.word === 'extension' ? match.name : match.word;
}

export function nameOf(action: Action): string {
  return action.action === 'extension' ? action.name : action.action;
}

function extensionMatch(word: MatchWord): MatchDefinition {
  const { name } = word;
  return { ...word, build: (spec, { at, negated }) => ({ at, word: 'extension', name, spec, negated }) };
}

function extensionAction(word: ActionWord): ActionDefinition {
  const { name } = word;
  return { ...word, build: (spec, at) => ({ at, action: 'extension', name, spec }) };
}

function known(definition: ActionDefinition): KnownAction {
  const { phrase: template, schema } = definition;
  const options = optionsOf(schema);
  return {
    ...definition,
    ...(template === undefined ? {} : { sentence: phrase(template) }),
    bare: template === undefined && (options.required ?? []).length === 0,
  };
}

/** The object of an action's options; an action may also take a list or a single value, which is then required. */
function optionsOf(schema: TSchema): { readonly required?: readonly string[] } {
  const { type, required = [], anyOf } = keywordsOf(schema);
  if (anyOf !== undefined)
    return anyOf.map(optionsOf).find((options) => options.required?.length === 0) ?? { required: [''] };
  return type === 'object' ? { required } : { required: [''] };
}

function byName<W extends { readonly name: string }>(
  words: readonly W[],
  taken: readonly string[] = [],
): Map<string, W> {
  const named = new Map<string, W>();
  for (const word of words) {
    if (named.has(word.name) || taken.includes(word.name)) {
      throw new PosternError('internal', `two words of the policy language are called "${word.name}"`);
    }
    named.set(word.name, word);
  }
  return named;
}
