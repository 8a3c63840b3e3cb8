/** Where an account counts in the kernel, and what stands there. */

import type { Manifest } from '../compiler/plan.js';
import type { Kernel, ObjectIndex, SetIndex } from '../kernel/kernel.js';
import { type Address, addressBits, addressFromBytes, type Family } from '../net/address.js';
import type { Presence } from '../nft/presence.js';
import type { Count } from './accounts.js';
import { calmly } from './calmly.js';
import { families } from './entries/live-table.js';
import { PrefixTrie } from './entries/trie.js';

export type Direction = 'source' | 'destination';

export interface AccountPlaces {
  /** A large account has several of one direction. */
  readonly sets: readonly { readonly set: SetIndex; readonly direction: Direction; readonly size: number }[];
  readonly overflows: readonly ObjectIndex[];
  /** Of 0.0.0.0/0 and ::/0: one counter instead of sets; what passes counts as sent by address 0. */
  readonly totals: readonly { readonly object: ObjectIndex; readonly address: Address }[];
}

export function accountPlaces(manifest: Pick<Manifest, 'sets' | 'objects'>, account: string): AccountPlaces {
  const sets = manifest.sets.flatMap(({ role, size }, set) =>
    role.kind === 'account' && role.account === account ? [{ set, direction: role.direction, size }] : [],
  );
  const overflows: ObjectIndex[] = [];
  const totals: { object: ObjectIndex; address: Address }[] = [];
  for (const [object, { role }] of manifest.objects.entries()) {
    if (role.kind === 'overflow' && role.of.kind === 'account' && role.of.account === account) overflows.push(object);
    if (role.kind === 'account-total' && role.account === account) {
      totals.push({ object, address: { family: role.family, value: 0n } });
    }
  }
  return { sets, overflows, totals };
}

/** Names of accounts that have places in the kernel. */
export function countingAccounts(
  { tables, sets, objects }: Pick<Manifest, 'sets' | 'tables' | 'objects'>,
  presence: Presence,
): ReadonlySet<string> {
  const tableName = new Map(tables.map(({ family, name }) => [family, `${family} ${name}`]));
  const counting = new Set<string>();
  for (const { table, name, role } of sets) {
    if (role.kind === 'account' && presence.sets.has(`${tableName.get(table)} ${name}`)) counting.add(role.account);
  }
  for (const { table, kind, name, role } of objects) {
    if (role.kind !== 'account-total') continue;
    if (presence.objects.has(`${tableName.get(table)} ${kind} ${name}`)) counting.add(role.account);
  }
  return counting;
}

export interface Counts {
  readonly source: Count;
  readonly destination: Count;
}

export const noCount: Count = { packets: 0n, bytes: 0n };
export const noCounts: Counts = { source: noCount, destination: noCount };

export function plus(a: Count, b: Count): Count {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes };
}

export function bothPlus(a: Counts, b: Counts): Counts {
  return { source: plus(a.source, b.source), destination: plus(a.destination, b.destination) };
}

/** Of one address, as it grows. */
type Row = { -readonly [Way in Direction]: Count };

/** Counts by address, in address order, IPv4 first. */
export class Sheet {
  readonly #rows: Readonly<Record<Family, PrefixTrie<Row>>> = { 4: new PrefixTrie(4), 6: new PrefixTrie(6) };

  get size(): number {
    return this.#rows[4].size + this.#rows[6].size;
  }

  get({ family, value }: Address): Counts | undefined {
    return this.#rows[family].get(value, addressBits(family));
  }

  add(address: Address, { source, destination }: Counts): void {
    const row = this.#row(address);
    row.source = row.source === noCount ? source : plus(row.source, source);
    row.destination = row.destination === noCount ? destination : plus(row.destination, destination);
  }

  addOneWay(address: Address, direction: Direction, count: Count): void {
    const row = this.#row(address);
    row[direction] = row[direction] === noCount ? count : plus(row[direction], count);
  }

  #row({ family, value }: Address): Row {
    const rows = this.#rows[family];
    const known = rows.get(value, addressBits(family));
    if (known !== undefined) return known;
    const row = { source: noCount, destination: noCount };
    rows.set(value, addressBits(family), row);
    return row;
  }

  *[Symbol.iterator](): IterableIterator<{ readonly address: Address; readonly counts: Counts }> {
    for (const family of families) {
      for (const { value, of } of this.#rows[family]) yield { address: { family, value }, counts: of };
    }
  }
}

export interface Raw {
  readonly sheet: Sheet;
  readonly overflow: Count;
  /** Elements that had counted nothing. */
  readonly idle: readonly { readonly set: SetIndex; readonly key: Uint8Array }[];
  /** Elements by set. */
  readonly fill: ReadonlyMap<SetIndex, number>;
}

/** Reads an account; with `reset` every packet is in exactly one reading. */
export async function readPlaces(
  kernel: Pick<Kernel, 'dump' | 'object'>,
  { sets, overflows, totals }: AccountPlaces,
  reset: boolean,
): Promise<Raw> {
  const sheet = new Sheet();
  const idle: { set: SetIndex; key: Uint8Array }[] = [];
  const fill = new Map<SetIndex, number>();
  for (const { set, direction } of sets) {
    const elements = await kernel.dump(set, { reset });
    fill.set(set, elements.length);
    await calmly(elements, ({ key, packets = 0n, bytes = 0n }) => {
      if (packets === 0n && bytes === 0n) idle.push({ set, key });
      else sheet.addOneWay(addressFromBytes(key), direction, { packets, bytes });
    });
  }
  let overflow = noCount;
  for (const object of overflows) overflow = plus(overflow, await counter(kernel, object, reset));
  for (const { object, address } of totals) {
    const count = await counter(kernel, object, reset);
    if (count.packets > 0n) sheet.addOneWay(address, 'source', count);
  }
  return { sheet, overflow, idle, fill };
}

async function counter(kernel: Pick<Kernel, 'object'>, object: ObjectIndex, reset: boolean): Promise<Count> {
  const { packets = 0n, bytes = 0n } = await kernel.object(object, { reset });
  return { packets, bytes };
}
