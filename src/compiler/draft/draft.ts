/** The plan while it grows: the ruleset, and what it needs beside it. */

import type { Line } from '../../extensions/fragment.js';
import type { CountrySizes } from '../../extensions/geoip-names.js';
import type { Duty } from '../../extensions/roles.js';
import type { TableFamily } from '../../nft/model.js';
import type { Policy, Position } from '../../policy/ast.js';
import type { Diagnostic } from '../../policy/diagnostics.js';
import { ruleOf } from '../line.js';
import type { Manifest, Note } from '../plan.js';
import { MarkBits, NflogGroups } from './marks.js';
import { originOf } from './origin.js';
import { RulesetDraft } from './ruleset.js';

/** A word can't do what it says where it stands. Ends the compilation of its rule. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(readonly diagnostic: Diagnostic) {
    super(diagnostic.message);
  }
}

export class Draft {
  readonly ruleset = new RulesetDraft();
  readonly marks: MarkBits;
  readonly groups: NflogGroups;
  readonly duties: Duty[] = [];
  readonly notes: Note[] = [];
  readonly diagnostics: Diagnostic[] = [];
  readonly #numbers = new Map<string, string[]>();
  readonly #said = new Set<string>();
  /** Names of the sets of policy tables, by table, tier, family and shard. */
  readonly tableSets = new Map<string, string>();
  /** Something asked for packets without fragments. */
  defragment = false;

  constructor(
    readonly policy: Policy,
    userMarks: Readonly<Record<'packet' | 'connection', number>>,
    previous?: Manifest,
    readonly countries?: CountrySizes,
  ) {
    this.marks = new MarkBits(userMarks, previous?.marks);
    this.groups = new NflogGroups(previous?.groups);
  }

  /** The chain of an owner, made of these lines when it is asked for first; answers its name. */
  chainOf(wanted: string, owner: string, lines: readonly Line[], at: Position, table: TableFamily = 'inet'): string {
    const chain = this.ruleset.chain(wanted, owner, undefined, table);
    if (chain.rules.length === 0) chain.rules.push(...lines.map((line) => ruleOf(line, originOf(at), table)));
    return chain.name;
  }

  /** A number from 1 that tells a thing from the others of its kind. */
  numberOf(kind: string, thing: string): number {
    const things = this.#numbers.get(kind) ?? [];
    this.#numbers.set(kind, things);
    if (!things.includes(thing)) things.push(thing);
    return things.indexOf(thing) + 1;
  }

  /** Says once, however often the same text is compiled. */
  note(at: Position, message: string): void {
    const key = `${at.line}:${at.column} ${message}`;
    if (!this.#said.has(key)) this.notes.push({ at: originOf(at), message });
    this.#said.add(key);
  }

  warn(at: Position, message: string, hint?: string): void {
    this.diagnostics.push({ severity: 'warning', at, message, ...(hint !== undefined && { hint }) });
  }

  /** Runs a part of the compilation; what it refuses is kept, and the next part goes on. */
  attempt<T>(part: () => T): T | undefined {
    try {
      return part();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.diagnostics.push(error.diagnostic);
      return undefined;
    }
  }
}

export function refuse(at: Position, message: string, hint?: string): never {
  throw new Refusal({ severity: 'error', at, message, ...(hint !== undefined && { hint }) });
}
