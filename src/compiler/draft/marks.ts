/** Mark bits and NFLOG groups: who has which. What the last compilation gave out is given out again. */

import type { MarkField } from '../../extensions/roles.js';

const allBits = 32;

export class MarkBits {
  readonly #fields: MarkField[] = [];
  readonly #used: Record<MarkField['of'], number>;

  /**
   * @param taken bits that the policy itself uses.
   * @param previous fields of the last compilation; connections that are open carry them.
   */
  constructor(
    taken: Readonly<Record<MarkField['of'], number>>,
    readonly previous: readonly MarkField[] = [],
  ) {
    this.#used = { packet: taken.packet, connection: taken.connection };
  }

  /** Bits for an owner, from the top; undefined when there aren't so many in a row. */
  claim(of: MarkField['of'], owner: string, bits: number): MarkField | undefined {
    const own = this.#fields.find((field) => field.of === of && field.owner === owner);
    if (own !== undefined) return own;
    const before = this.previous.find((field) => field.of === of && field.owner === owner && field.bits === bits);
    const places = Array.from({ length: allBits - bits + 1 }, (_, index) => allBits - bits - index);
    const candidates = before === undefined ? places : [before.shift, ...places];
    // Connections may still carry an old field of another owner: its bits are taken last.
    const shift =
      candidates.find((place) => this.#isFree(of, maskOf(place, bits), this.#foreign(of, owner))) ??
      candidates.find((place) => this.#isFree(of, maskOf(place, bits)));
    if (shift === undefined) return undefined;
    const field: MarkField = { of, owner, shift, bits, mask: maskOf(shift, bits) };
    this.#used[of] = (this.#used[of] | field.mask) >>> 0;
    this.#fields.push(field);
    return field;
  }

  get fields(): readonly MarkField[] {
    return this.#fields;
  }

  #foreign(of: MarkField['of'], owner: string): number {
    const fields = this.previous.filter((field) => field.of === of && field.owner !== owner);
    return fields.reduce((bits, field) => bits | field.mask, 0);
  }

  #isFree(of: MarkField['of'], mask: number, avoid = 0): boolean {
    return ((this.#used[of] | avoid) & mask) === 0;
  }
}

const maskOf = (shift: number, bits: number): number => ((2 ** bits - 1) * 2 ** shift) >>> 0;

/** Groups below are left to other programs, as is 5, which the policy's `log` has. */
const firstGroup = 6;
export const logGroup = 5;

export class NflogGroups {
  readonly #groups = new Map<string, number>();

  constructor(readonly previous: readonly { readonly owner: string; readonly group: number }[] = []) {}

  claim(owner: string): number {
    const own = this.#groups.get(owner) ?? this.previous.find((known) => known.owner === owner)?.group;
    const group = own ?? this.#firstFree();
    this.#groups.set(owner, group);
    return group;
  }

  get all(): { owner: string; group: number }[] {
    return [...this.#groups].map(([owner, group]) => ({ owner, group }));
  }

  #firstFree(): number {
    const used = new Set([...this.#groups.values(), ...this.previous.map(({ group }) => group)]);
    let group = firstGroup;
    while (used.has(group)) group++;
    return group;
  }
}
