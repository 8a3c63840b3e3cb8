/** What quotas are made of in the kernel, what is kept of them, and how one policy's become the next one's. Pure. */

import type { Manifest, Plan } from '../compiler/plan.js';
import { type QuotaDuty, quotaDuty, quotaName } from '../extensions/quota-names.js';
import { packetsLeft } from '../extensions/quota2.js';
import type { ObjectIndex, SetIndex } from '../kernel/kernel.js';
import type { Limit, NamedObject } from '../nft/model.js';
import type { Json } from '../store/register.js';

/** Where a quota's parts are; those that it has. */
export interface QuotaParts {
  readonly left?: ObjectIndex;
  readonly grown?: ObjectIndex;
  readonly charged?: ObjectIndex;
  readonly empty?: SetIndex;
  readonly fits?: SetIndex;
}

/** What the kernel's parts say. Counters that aren't there count from 0. */
export interface QuotaReading {
  /** Of a quota of bytes. */
  readonly limitBytes?: bigint;
  readonly usedBytes?: bigint;
  readonly grown: bigint;
  readonly charged: bigint;
}

/** What is kept of a quota: its value when the counters stood at these numbers. */
export interface Kept {
  readonly unit: QuotaDuty['unit'];
  readonly amount: bigint;
  readonly value: bigint;
  readonly grown: bigint;
  readonly charged: bigint;
  /** The limit that holds what is left of packets. */
  readonly limit?: Limit;
}

/** The parts of all quotas, by name. */
export function quotaParts({ objects, sets }: Pick<Manifest, 'objects' | 'sets'>): Map<string, QuotaParts> {
  const parts = new Map<string, QuotaParts>();
  const note = (
    list: readonly { readonly role: Manifest['objects'][number]['role'] | Manifest['sets'][number]['role'] }[],
  ) => {
    for (const [index, { role }] of list.entries()) {
      if (role.kind !== 'extension' || role.extension !== quotaName) continue;
      parts.set(role.name, { ...parts.get(role.name), [role.purpose]: index });
    }
  };
  note(objects);
  note(sets);
  return parts;
}

export const quotaDuties = ({ duties }: Pick<Plan, 'duties'>): ReadonlyMap<string, QuotaDuty> =>
  new Map(duties.filter(({ kind }) => kind === quotaDuty).map(({ name, spec }) => [name, spec as QuotaDuty]));

/** What a quota holds. */
export function heldBy(kept: Kept, { limitBytes, usedBytes, grown, charged }: QuotaReading): bigint {
  const since = (now: bigint, then: bigint): bigint => (now < then ? now : now - then);
  const added = since(grown, kept.grown);
  if (limitBytes !== undefined && usedBytes !== undefined) return floor(limitBytes - usedBytes) + added;
  return floor(kept.value + added - since(charged, kept.charged));
}

/** The same thing kept as it is now. */
export const keptNow = (kept: Kept, reading: QuotaReading): Kept => ({
  ...kept,
  value: heldBy(kept, reading),
  grown: reading.grown,
  charged: reading.charged,
});

export const floor = (value: bigint): bigint => (value < 0n ? 0n : value);

/** What the kernel held of a quota before a load. */
export interface Held extends QuotaReading {
  /** Is its limit of packets there? */
  readonly hasLimit: boolean;
}

/** What is kept of a quota under the next policy. A changed amount changes what is left by the difference. */
export function successor(duty: QuotaDuty, before: Kept | undefined, held: Held): Kept {
  const now = startingPoint(duty, before, held);
  const amount = BigInt(duty.amount);
  const value = floor(now.value + amount - now.amount);
  const kept = { ...now, amount, value };
  if (duty.unit === 'bytes') return kept;
  const stays = held.hasLimit && now.limit !== undefined && amount === now.amount;
  return stays ? kept : { ...kept, limit: packetsLeft(Number(value)) };
}

function startingPoint({ unit, amount: text }: QuotaDuty, before: Kept | undefined, held: Held): Kept {
  if (before?.unit === unit) return keptNow(before, held);
  const amount = BigInt(text);
  const { grown, charged } = held;
  const counted = { unit, amount, value: amount, grown, charged };
  if (before !== undefined) return counted;
  // Nobody took notes: what the kernel has counted was counted from the amount on.
  if (unit === 'bytes' && held.limitBytes !== undefined) return { ...counted, value: heldBy(counted, held) };
  const limit = unit === 'packets' && held.hasLimit ? { limit: packetsLeft(Number(amount)) } : {};
  return keptNow({ ...counted, grown: 0n, charged: 0n, ...limit }, held);
}

/** The object that holds what is left, as the next load has to say it so that it stays. */
export function leftObject(
  object: NamedObject,
  kept: Kept,
  { limitBytes }: QuotaReading,
  before: Kept | undefined,
): NamedObject {
  if (object.kind === 'limit') return { ...object, ...kept.limit };
  if (object.kind !== 'quota') return object;
  const shift = before === undefined ? 0n : kept.amount - before.amount;
  return { ...object, bytes: Number(limitBytes === undefined ? kept.value : floor(limitBytes + shift)) };
}

/** Another limit of so many packets than the one that is there: only a limit that is new is full. */
export function freshLimit(packets: bigint, old: Limit | undefined): Limit {
  const limit = packetsLeft(Number(packets));
  const isSame = old !== undefined && old.burst === limit.burst && old.per === limit.per;
  return isSame ? { ...limit, per: limit.per === 'week' ? 'day' : 'hour' } : limit;
}

export const keptJson = ({ unit, amount, value, grown, charged, limit }: Kept): Json => ({
  unit,
  amount: String(amount),
  value: String(value),
  grown: String(grown),
  charged: String(charged),
  ...(limit?.burst !== undefined && { burst: limit.burst, per: limit.per }),
});

/** @returns undefined for what this version doesn't know. */
export function keptFromJson(json: Json | undefined): Kept | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const { unit, amount, value, grown, charged, burst, per } = json as Record<string, Json | undefined>;
  if (unit !== 'bytes' && unit !== 'packets') return undefined;
  const numbers = [amount, value, grown, charged];
  if (!numbers.every((one) => typeof one === 'string' && /^[0-9]+$/.test(one))) return undefined;
  const [a, v, g, c] = numbers.map((one) => BigInt(one as string)) as [bigint, bigint, bigint, bigint];
  const limit = typeof burst === 'number' ? { limit: { rate: 1, per: per as Limit['per'], burst } } : {};
  return { unit, amount: a, value: v, grown: g, charged: c, ...limit };
}
