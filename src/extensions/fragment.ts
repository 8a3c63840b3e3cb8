/** What a word of the policy compiles to. The compiler weaves the fragments of a rule into nft rules and chains. */

import type { Family } from '../net/address.js';
import type { Statement } from '../nft/model.js';

/** What one nft rule says. */
export interface Line {
  /** The only family it is for. The compiler adds the guard that it needs. */
  readonly family?: Family;
  readonly statements: readonly Statement[];
  /**
   * Protocols (layer 4) of which nft wants to see a match in the same rule, as before a port in `redirect to`; it is
   * put in front unless the rule has one already.
   */
  readonly protocols?: readonly number[];
}

/**
 * A match. Either `anyOf`: the packet matches when all statements of any line hold. Or `decide`: rules of a chain that
 * run `matched` for packets that match, and come to their end, or run `others`, for all others. Both end the chain.
 */
export type MatchFragment = {
  /** It changes something (tokens, elements): it runs once a packet, after all matches that only look. */
  readonly stateful?: boolean;
} /** `disjoint`: no packet matches two of the lines. */ & (
  | { readonly anyOf: readonly Line[]; readonly disjoint?: boolean }
  | {
      readonly decide: (matched: readonly Statement[], others: readonly Statement[]) => readonly Line[];
      readonly families?: readonly Family[];
    }
);

/**
 * An action: lines that run one after the other. A statement that doesn't hold (a limit, a set that is full, the other
 * family) ends its line, not the action.
 */
export interface ActionFragment {
  readonly lines: readonly Line[];
  /** The one line can't end early and has no verdict but a last one: it may share an nft rule with others. */
  readonly inline?: boolean;
  /** No packet goes on behind it in the policy's chain. */
  readonly final?: boolean;
  /** Final, but a packet may go on where that chain was jumped to from: `return`, `goto`. */
  readonly leaves?: boolean;
  /** The rule is about packets of these families alone. */
  readonly families?: readonly Family[];
}

/** Holds for every packet. */
export const always: MatchFragment = { anyOf: [{ statements: [] }] };

/** Holds for no packet. */
export const never: MatchFragment = { anyOf: [] };

/** A match of one line for both families. */
export const holds = (...statements: readonly Statement[]): MatchFragment => ({ anyOf: [{ statements }] });

/** An action of one line that can't end early. */
export const does = (...statements: readonly Statement[]): ActionFragment => ({
  lines: [{ statements }],
  inline: true,
});
