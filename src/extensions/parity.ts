/** What a user of the original must know: printed by `postern parity`, and the base of kmod-notes. */

export type Parity = {
  /** The original: `xt_TARPIT`, `pf overload`. */
  readonly original: string;
  readonly runs: 'kernel' | 'daemon' | 'kernel and daemon';
  /** How the comparison was made. */
  readonly checked: string;
} & (
  | { readonly standing: 'exact' }
  | { readonly standing: 'differs'; readonly how: readonly string[] }
  | { readonly standing: 'unavailable'; readonly why: string }
);
