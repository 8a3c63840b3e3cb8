/** Counts of an account as one value of the store, for the boot after which the kernel has forgotten them. */

import { formatAddress, parseAddress } from '../net/address.js';
import type { Json } from '../store/register.js';
import { type Counts, noCount, noCounts, plus, Sheet } from './account-sets.js';
import type { Count } from './accounts.js';
import { calmly } from './calmly.js';

export interface Sums {
  readonly sheet: Sheet;
  readonly overflow: Count;
}

export const noSums = (): Sums => ({ sheet: new Sheet(), overflow: noCount });

/** Address, packets and bytes as source, packets and bytes as destination. */
type Row = readonly [address: string, ...counts: readonly [string, string, string, string]];

export interface KeptSums {
  readonly [name: string]: Json | undefined;
  readonly rows: readonly Row[];
  /** Packets and bytes that no address could be given: the kernel's sets were full, or there were more than are kept. */
  readonly rest: readonly [packets: string, bytes: string];
}

/** Addresses of an account that are kept apart; a row takes some 60 bytes. */
export const mostRows = 50_000;

export async function toKept({ sheet, overflow }: Sums): Promise<KeptSums> {
  const rows: Row[] = [];
  let rest = overflow;
  await calmly(sheet, ({ address, counts: { source, destination } }) => {
    if (rows.length >= mostRows) {
      rest = plus(rest, plus(source, destination));
      return;
    }
    const counts = [source.packets, source.bytes, destination.packets, destination.bytes].map(String);
    rows.push([formatAddress(address), ...(counts as [string, string, string, string])]);
  });
  return { rows, rest: [String(rest.packets), String(rest.bytes)] };
}

export async function fromKept({ rows, rest }: KeptSums): Promise<Sums> {
  const sheet = new Sheet();
  await calmly(rows, ([address, ...counts]) => {
    const [sent, sentBytes, received, receivedBytes] = counts.map(BigInt) as [bigint, bigint, bigint, bigint];
    const both: Counts = {
      source: { packets: sent, bytes: sentBytes },
      destination: { packets: received, bytes: receivedBytes },
    };
    sheet.add(parseAddress(address), both);
  });
  return { sheet, overflow: { packets: BigInt(rest[0]), bytes: BigInt(rest[1]) } };
}

const number = /^\d{1,20}$/;
const isNumber = (text: Json | undefined): boolean => typeof text === 'string' && number.test(text);

/** Whether it is what `toKept` makes: it may come from another machine. */
export function isKeptSums(kept: Json | undefined): kept is KeptSums {
  if (typeof kept !== 'object' || kept === null || Array.isArray(kept)) return false;
  const { rows, rest } = kept as { readonly [name: string]: Json | undefined };
  if (!Array.isArray(rows) || !Array.isArray(rest) || rest.length !== 2 || !rest.every(isNumber)) return false;
  return rows.every(
    (row) => Array.isArray(row) && row.length === 5 && isAddress(row[0]) && row.slice(1).every(isNumber),
  );
}

function isAddress(text: Json): boolean {
  try {
    return typeof text === 'string' && parseAddress(text) !== undefined;
  } catch {
    return false;
  }
}

export async function together(a: Sums, b: Sums): Promise<Sums> {
  const sheet = new Sheet();
  for (const one of [a, b]) await calmly(one.sheet, ({ address, counts }) => sheet.add(address, counts));
  return { sheet, overflow: plus(a.overflow, b.overflow) };
}

/** Of what only grows, by how much it grew. */
export async function growth(now: Sums, before: Sums): Promise<Sums> {
  const less = (a: Count, b: Count): Count => plus(a, { packets: -b.packets, bytes: -b.bytes });
  const sheet = new Sheet();
  await calmly(now.sheet, ({ address, counts }) => {
    const old = before.sheet.get(address) ?? noCounts;
    const source = less(counts.source, old.source);
    const destination = less(counts.destination, old.destination);
    if (source.packets > 0n || destination.packets > 0n) sheet.add(address, { source, destination });
  });
  return { sheet, overflow: less(now.overflow, before.overflow) };
}

/** Up to the last flush; since then, by sets that were gone when it was kept; and by those that were there. */
export interface KeptAccount {
  readonly [name: string]: Json | undefined;
  readonly flushed: KeptSums;
  readonly carried: KeptSums;
  readonly counted: KeptSums;
}

export async function packetsOf({ sheet, overflow }: Sums): Promise<bigint> {
  let { packets } = overflow;
  await calmly(sheet, ({ counts }) => {
    packets += counts.source.packets + counts.destination.packets;
  });
  return packets;
}

export function isKeptAccount(kept: Json): kept is KeptAccount {
  if (typeof kept !== 'object' || kept === null || Array.isArray(kept)) return false;
  const { flushed, carried, counted } = kept as { readonly [name: string]: Json | undefined };
  return isKeptSums(flushed) && isKeptSums(carried) && isKeptSums(counted);
}
