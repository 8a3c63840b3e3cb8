/**
 * The words of the language, as data. The core brings its own; each extension adds matches, actions and sections. The reader,
 * the checks, the suggestions and the JSON Schema all come from these descriptions.
 */

import type { TSchema } from 'typebox';
import type { BaseChainName } from './ast.js';

/** Where a rule may stand: a base chain, or the `nat:` list. A user chain stands wherever it is jumped to from. */
export type Place = BaseChainName | 'nat';

/** One key of the language. */
export interface Word {
  readonly name: string;
  /** One sentence for the editor and the docs. */
  readonly description: string;
  /** What its value looks like: a TypeBox schema of the types in `types.ts`, whose static type is the value as read. */
  readonly schema: TSchema;
}

/** A key of a rule that must hold for the rule to apply. */
export interface MatchWord extends Word {
  /** `word: not value` is allowed; the match then comes `negated`. Values that are a `Choice` bring their own `not`. */
  readonly negatable?: boolean;
  /** Where it can match; everywhere when absent. */
  readonly places?: readonly Place[];
  /** Words of which one must stand in the same rule. */
  readonly needs?: readonly string[];
  /** Words that can't stand in the same rule. */
  readonly excludes?: readonly string[];
}

/**
 * A word of `do:`. Without a phrase it is written as the bare word, when no option is required, or as a map of one
 * key: `{ chaos: { tarpit: true } }`.
 */
export interface ActionWord extends Word {
  /**
   * How it reads as a sentence: literal words, `{slot}` for a property of `schema`, `[optional part]`, and `a|b` for
   * alternatives of words; `add {what} to {table} [for {timeout}]`. It begins with `name`.
   */
  readonly phrase?: string;
  /** The packet goes no further in this chain, so that nothing may follow it in `do:`. */
  readonly final?: boolean;
  /** Where it can stand; everywhere but `nat` when absent. */
  readonly places?: readonly Place[];
}

/** A key at the top of the policy. */
export interface SectionWord extends Word {
  /**
   * `named`: a map from names to values of `schema`; the names can be referred to with `Reference(section)`.
   * `single`: one value of `schema`, which arrives as an entry of the section's own name.
   */
  readonly form: 'named' | 'single';
}

/** What extensions add to the core. */
export interface Vocabulary {
  readonly matches: readonly MatchWord[];
  readonly actions: readonly ActionWord[];
  readonly sections: readonly SectionWord[];
}

export const noWords: Vocabulary = { matches: [], actions: [], sections: [] };
