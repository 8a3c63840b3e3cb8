/** What rules remember on the scratch host: elements of sets, and time that passes for them in a jump. */

import type { Manifest, ManifestSet, Plan } from '../compiler/plan.js';
import type { Scratch } from '../kernel/scratch.js';
import { formatDuration } from '../net/duration.js';
import { decodeKey, keyBefore } from '../nft/key.js';
import type { Expression, Statement } from '../nft/model.js';
import { FLAG, MessageWriter } from '../wire/netlink.js';
import { NFPROTO, writeBatchBegin, writeBatchEnd } from '../wire/nfnetlink.js';
import { NFT } from '../wire/nftables.js';
import { writeElements, writeSetRequest } from '../wire/nftables-element-writer.js';
import { readElements, type SetAddress, type WireElement } from '../wire/nftables-elements.js';

/** An element of a set, as people write it. */
export interface Member {
  /** `203.0.113.5`, `192.0.2.0/24`, `tcp . 22`. */
  readonly text: string;
  readonly expiresMs?: number;
  readonly packets?: bigint;
}

/** The elements of sets, in the order of `sets`. */
export async function membersOf(
  scratch: Scratch,
  manifest: Manifest,
  sets: readonly ManifestSet[],
): Promise<readonly (readonly Member[])[]> {
  const lists = await listed(scratch, manifest, sets);
  return lists.map((elements, index) => members(sets[index]!, elements));
}

async function listed(scratch: Scratch, manifest: Manifest, sets: readonly ManifestSet[]): Promise<WireElement[][]> {
  const requests = sets.map((set) => {
    const writer = new MessageWriter(128);
    writeSetRequest(writer, NFT.GETSETELEM, FLAG.DUMP, 1, addressOf(manifest, set));
    return writer.finish();
  });
  const answers = await scratch.exchange('NETFILTER', requests);
  return answers.map(({ messages }) => messages.flatMap(({ body }) => [...readElements(body).elements]));
}

function addressOf({ tables }: Manifest, { table, name }: ManifestSet): SetAddress {
  return { family: NFPROTO[table], table: tables.find(({ family }) => family === table)?.name ?? '', set: name };
}

const isPlainInterval = ({ interval, key }: ManifestSet): boolean => interval && key.length === 1;

function members(set: ManifestSet, elements: readonly WireElement[]): Member[] {
  return (isPlainInterval(set) ? joined(elements) : elements).flatMap((element) => {
    const { key, keyEnd, expiresMs, counter } = element;
    const value = key && decodeKey(set.key, keyEnd === undefined ? { key } : { key, keyEnd });
    if (value === undefined) return [];
    return [
      {
        text: expressionText(value),
        ...(expiresMs !== undefined && { expiresMs }),
        ...(counter !== undefined && { packets: counter.packets }),
      },
    ];
  });
}

/** Starts and ends of intervals as elements with an inclusive end. */
function joined(elements: readonly WireElement[]): WireElement[] {
  const sorted = [...elements].sort(
    (a, b) => Buffer.compare(a.key!, b.key!) || Number(!!b.intervalEnd) - Number(!!a.intervalEnd),
  );
  return sorted.flatMap((element, index) => {
    if (element.intervalEnd || element.key === undefined) return [];
    const end = sorted[index + 1]?.key;
    return [{ ...element, keyEnd: end === undefined ? new Uint8Array(element.key.length).fill(0xff) : keyBefore(end) }];
  });
}

/** A key's value as it is told: `tcp . 22`, `192.0.2.0/24`, `1-5`. */
export function expressionText(value: Expression): string {
  if (typeof value !== 'object') return String(value);
  if ('prefix' in value) return `${expressionText(value.prefix.addr)}/${value.prefix.len}`;
  if ('range' in value) return value.range.map(expressionText).join('-');
  return 'concat' in value ? value.concat.map(expressionText).join(' . ') : JSON.stringify(value);
}

/**
 * Lets time pass for the elements of all sets with timeouts: what would be over is gone, the rest has less left.
 * Answers what a jump can't age, for people.
 */
export async function advance(scratch: Scratch, plan: Plan, ms: number): Promise<readonly string[]> {
  const { manifest } = plan;
  const sets = manifest.sets.filter(({ timeout }) => timeout);
  const lists = await listed(scratch, manifest, sets);
  const batches = sets.flatMap((set, index) => aged(addressOf(manifest, set), set, lists[index]!, ms));
  const answers = await scratch.exchange('NETFILTER', batches);
  const refused = answers.find(({ errno }) => errno !== 0);
  const problems =
    refused === undefined ? [] : [`elements could not be aged: ${refused.reason ?? `error ${refused.errno}`}`];
  return [...problems, ...ageless(plan, ms)];
}

/** One transaction for each set that has elements with an end. */
function aged(address: SetAddress, set: ManifestSet, elements: readonly WireElement[], ms: number): Uint8Array[] {
  const pairs = isPlainInterval(set) ? intervals(elements) : elements.map((element) => [element]);
  const timed = pairs.filter(([element]) => element?.expiresMs !== undefined);
  if (timed.length === 0) return [];
  const over = timed.filter(([element]) => element!.expiresMs! <= ms).flat();
  const rest = timed.filter(([element]) => element!.expiresMs! > ms);
  const shorter = rest.flatMap(([element, ...end]) => [{ ...element!, expiresMs: element!.expiresMs! - ms }, ...end]);
  const writer = new MessageWriter(4096);
  writeBatchBegin(writer, 1);
  writeAll(
    writer,
    NFT.DELSETELEM,
    0,
    address,
    over.map(({ key, keyEnd, intervalEnd }) => keyOnly(key, keyEnd, intervalEnd)),
  );
  writeAll(writer, NFT.NEWSETELEM, FLAG.CREATE, address, shorter);
  writeBatchEnd(writer, 3);
  return [writer.finish()];
}

function writeAll(
  writer: MessageWriter,
  type: number,
  flags: number,
  address: SetAddress,
  elements: readonly WireElement[],
): void {
  for (let from = 0; from < elements.length; ) {
    from = writeElements(writer, type, flags | FLAG.ACK, 2, address, elements, from);
  }
}

const keyOnly = (
  key: Uint8Array | undefined,
  keyEnd: Uint8Array | undefined,
  intervalEnd: boolean | undefined,
): WireElement => ({
  ...(key !== undefined && { key }),
  ...(keyEnd !== undefined && { keyEnd }),
  ...(intervalEnd !== undefined && { intervalEnd }),
});

function intervals(elements: readonly WireElement[]): WireElement[][] {
  const sorted = [...elements].sort(
    (a, b) => Buffer.compare(a.key!, b.key!) || Number(!!b.intervalEnd) - Number(!!a.intervalEnd),
  );
  return sorted.flatMap((element, index) => {
    if (element.intervalEnd) return [];
    const end = sorted[index + 1];
    return [end?.intervalEnd ? [element, end] : [element]];
  });
}

/** Rates and counts of connections live in the kernel's own time. */
function ageless({ ruleset }: Plan, ms: number): string[] {
  const found = new Set<string>();
  for (const { objects, chains } of ruleset.tables) {
    for (const { kind, name } of objects) if (kind === 'limit') found.add(`limit ${name}`);
    for (const rule of chains.flatMap(({ rules }) => rules)) {
      const kinds = rule.statements.flatMap(agelessIn);
      const at = rule.origin === undefined ? '' : ` of line ${rule.origin.line}`;
      for (const kind of kinds) found.add(`${kind}${at}`);
    }
  }
  return [...found].map((what) => `a jump of ${formatDuration(ms)} does not age the ${what}: use wait:`);
}

function agelessIn(statement: Statement): string[] {
  if ('limit' in statement && typeof statement.limit === 'object') return ['limit'];
  if ('ct count' in statement) return ['count of connections'];
  return 'set' in statement ? (statement.set.stmt ?? []).flatMap(agelessIn) : [];
}
