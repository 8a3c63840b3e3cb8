/** What a word sees of the place where it stands, and what it may ask the compiler for. */

import type { Family } from '../net/address.js';
import type {
  BaseChain,
  Element,
  Expression,
  Hook,
  NamedObject,
  SetFlag,
  SetType,
  Statement,
  TableFamily,
  Verdict,
} from '../nft/model.js';
import type { Policy, Rule as PolicyRule, Position } from '../policy/ast.js';
import type { Place } from '../policy/vocabulary.js';
import type { Line } from './fragment.js';
import type { CountrySizes } from './geoip-names.js';
import type { Duty, MarkField, ObjectRole, SetRole } from './roles.js';

/** A set or map to be declared. Its name comes from its role and its shape; no keyword and no other object has it. */
export interface SetRequest {
  readonly role: SetRole;
  /** The table family it lives in; `inet` when absent. Sets aren't shared between tables. */
  readonly table?: TableFamily;
  readonly key: SetType;
  /** A map's value type. */
  readonly data?: SetType;
  readonly flags: readonly SetFlag[];
  /** The bound; every set has one. Not needed for sets whose contents come from the policy alone. */
  readonly size?: number;
  readonly timeoutMs?: number;
  /** Every element carries a counter. */
  readonly counter?: boolean;
  /** Contents that the policy owns. */
  readonly elements?: readonly Element[];
  /** Contents of a set that is new, where whoever loads it knows of no others. */
  readonly initial?: readonly Element[];
  /**
   * What its elements were made with besides type and flags (a rate, a count). Elements keep what they were made with, so
   * that a change needs a new set.
   */
  readonly variant?: string;
}

/** A counter, quota, limit … to be declared: a `NamedObject` with a role instead of the name. */
export type ObjectRequest = WithoutName<NamedObject> & {
  readonly role: ObjectRole;
  readonly table?: TableFamily;
};
type WithoutName<T> = T extends unknown ? Omit<T, 'name' | 'origin'> : never;

/** What is known without a rule: where sections compile, and what every site has. */
export interface Ground {
  readonly policy: Policy;
  /** Where the word stands in the policy text. */
  readonly at: Position;
  /** Absent where nothing is known of databases of countries. */
  readonly countries: CountrySizes | undefined;

  /** Declares a set and answers its name. The same request again answers the same name. */
  set(request: SetRequest): string;
  /** Declares a named object and answers its name. */
  object(request: ObjectRequest): string;
  /**
   * The counter of packets that found the set full. Every set that rules add to needs one, in a line that only packets
   * without a place reach.
   */
  overflow(set: SetRequest): Statement;
  /** A chain of the word's own that is only jumped to; answers its name. The same purpose again answers the first one. */
  chain(purpose: string, lines: readonly Line[], table?: TableFamily): string;
  /** A chain for everyone who uses the same thing: its name is the thing's. */
  sharedChain(name: string, lines: readonly Line[], table?: TableFamily): string;
  /** Adds rules to a base chain of its own elsewhere: another hook or another table. Priority as in nft(8). */
  baseChain(purpose: string, base: BaseChain, lines: readonly Line[], table?: TableFamily): void;
  /** Adds rules to a base chain for everyone who uses the same thing; rules that are there already aren't added again. */
  sharedBaseChain(name: string, base: BaseChain, lines: readonly Line[], table?: TableFamily): void;
  /**
   * Sends packets of which `key` is `value` somewhere else, behind the rules of a base chain that was made before: however
   * many ask for the same key, one lookup finds them all.
   */
  sharedBranch(name: string, key: Expression, value: Expression, to: Verdict, table?: TableFamily): void;
  /** A number from 1 that tells a thing from the others of its kind in this compilation. */
  numberOf(kind: string, thing: string): number;
  /** The sets of a policy table; the reader has checked that there is one. */
  table(name: string): TableSets;
  /** Bits of a mark that nothing else in the policy uses; the same owner gets the same bits. */
  markBits(of: MarkField['of'], owner: string, bits: number): MarkField;
  /** An NFLOG group; the same owner gets the same one. */
  nflogGroup(owner: string): number;
  /** Asks the daemon for something. */
  duty(duty: Duty): void;
  /** Packets shall be put together from their fragments, also when no rule uses connections. */
  defragment(): void;

  /** Which recipe was chosen and why, for `compile --explain`. */
  note(message: string): void;
  warn(message: string, hint?: string): void;
  /** What the site can't do, and the nearest thing that works. Compilation goes on with the next rule. */
  refuse(message: string, hint?: string): never;
}

/** Where one rule stands. */
export interface Site extends Ground {
  readonly family: TableFamily;
  /** `nat`, or the base chain; of a user chain the ones that it is reached from. */
  readonly places: readonly Place[];
  /** The hooks in which the rule runs. */
  readonly hooks: readonly Hook[];
  readonly rule: RuleFacts;
  /** The rule as it was read. */
  readonly ast: PolicyRule;
  /** Packets of known connections are accepted above: the rule sees first packets only. */
  readonly belowStateRule: boolean;
}

export interface RuleFacts {
  /** The rule's name, or its chain with a digest of its text. The same in all hooks, and wherever the rule moves. */
  readonly id: string;
  /** The chain as the policy names it. */
  readonly chain: string;
  /** Its number in the chain, from 1. */
  readonly number: number;
  readonly text: string;
  /** The families that its core matches leave. */
  readonly families: readonly Family[];
  /** The layer-4 protocols that it is limited to; absent: any. */
  readonly protocols?: readonly number[];
}

/** The sets of a policy table; an address is in the table when it is in one of its family's. */
export interface TableSets {
  hosts(family: Family): string;
  /** One, or one for each shard of a large table. */
  prefixes(family: Family): readonly string[];
  /** Lines, for `chain`, that add the packet's source or destination, and count it when there is no place left. */
  addLines(what: 'source' | 'destination', timeoutMs?: number): readonly Line[];
  /** The chain of those lines: `{ jump: { target } }`. */
  add(what: 'source' | 'destination', timeoutMs?: number): Verdict;
  delete(what: 'source' | 'destination'): readonly Line[];
}
