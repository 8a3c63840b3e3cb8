/** How an extension reads in iptables' syntax, for `postern translate`. */

/** One option as it stood on the command line. */
export interface IptablesOption {
  /** With `!` before it. */
  readonly negated: boolean;
  /** Absent for an option without a value. */
  readonly value?: string;
}

export interface IptablesSyntax {
  /** `-m NAME` or `-j NAME`. */
  readonly kind: 'match' | 'target';
  readonly module: string;
  /** Long options with the number of their values. */
  readonly options: Readonly<Record<string, 0 | 1>>;
  /** Options that the original takes with `!` before them, whether it means something to it or not. */
  readonly negatable?: readonly string[];
  /**
   * What stands in the policy instead: keys of the rule (for a match), or a member of `do:` (for a target).
   * @throws PosternError `invalid`, `unsupported`.
   */
  read(options: ReadonlyMap<string, IptablesOption>): IptablesReading;
}

/** Digits as the number that they are; anything else stays as it is, for the policy to refuse where it stands. */
export const numeral = (text: string): number | string => (/^[0-9]+$/.test(text) ? Number(text) : text);

export interface IptablesReading {
  readonly match?: Readonly<Record<string, unknown>>;
  readonly action?: unknown;
  /** Entries for sections: section, name, value. */
  readonly sections?: readonly (readonly [string, string, unknown])[];
  /** What the user must know of the translation. */
  readonly notes?: readonly string[];
}
