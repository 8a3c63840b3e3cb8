/**
 * An extension is one room: a file of this folder that brings the words of one xtables-addons or pf extension, what they
 * compile to, how they read in iptables' syntax, and how they compare with the original. Adding one adds its file and a
 * line in `registry.ts`.
 */

import type { Static, TSchema } from 'typebox';
import type { ActionWord, MatchWord, SectionWord } from '../policy/vocabulary.js';
import type { ActionFragment, MatchFragment } from './fragment.js';
import type { IptablesSyntax } from './iptables.js';
import type { Parity } from './parity.js';
import type { MarkField } from './roles.js';
import type { Ground, Site } from './site.js';

export interface Extension {
  /** As xtables-addons or pf calls it: `tarpit`, `psd`, `quota2`. */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  readonly matches?: readonly MatchCompiler[];
  readonly actions?: readonly ActionCompiler[];
  readonly sections?: readonly SectionCompiler[];
  readonly iptables?: readonly IptablesSyntax[];
  readonly parity: Parity;
}

interface Standing<Spec> {
  /** Bits of the marks that it uses as the policy says; generated rules keep off them. */
  marks?(spec: Spec): readonly { readonly of: MarkField['of']; readonly mask: number }[];
  /** It has to see every packet of a connection: a warning is given where only the first ones come. */
  readonly everyPacket?: boolean;
}

/** A key of a rule. `word.negatable` alone is enough for `not`: without `compileNot` the compiler inverts the fragment. */
export interface MatchCompiler<Spec = unknown> extends Standing<Spec> {
  readonly word: MatchWord;
  compile(spec: Spec, site: Site): MatchFragment;
  /** Where the negation is cheaper, or isn't the plain opposite. */
  compileNot?(spec: Spec, site: Site): MatchFragment;
}

/** A word of `do:`. */
export interface ActionCompiler<Spec = unknown> extends Standing<Spec> {
  readonly word: ActionWord;
  /**
   * It works before connections are tracked or after addresses are translated, where no rule can jump from: the whole
   * rule is put there.
   */
  readonly raw?: true;
  /** It compiles for chains of `netdev`, too. */
  readonly netdev?: true;
  compile(spec: Spec, site: Site): ActionFragment;
}

/** A key at the top of the policy; each entry compiles whether a rule refers to it or not. */
export interface SectionCompiler<Spec = unknown> {
  readonly word: SectionWord;
  compile(name: string, spec: Spec, ground: Ground): void;
}

/** Types a match by its schema. */
export function matchWord<S extends TSchema>(
  word: MatchWord & { readonly schema: S },
  compiler: Omit<MatchCompiler<Static<S>>, 'word'>,
): MatchCompiler {
  return { word, ...compiler } as MatchCompiler;
}

/** Types an action by its schema. */
export function actionWord<S extends TSchema>(
  word: ActionWord & { readonly schema: S },
  compiler: Omit<ActionCompiler<Static<S>>, 'word'>,
): ActionCompiler {
  return { word, ...compiler } as ActionCompiler;
}

/** Types a section by its schema. */
export function sectionWord<S extends TSchema>(
  word: SectionWord & { readonly schema: S },
  compiler: Omit<SectionCompiler<Static<S>>, 'word'>,
): SectionCompiler {
  return { word, ...compiler } as SectionCompiler;
}
