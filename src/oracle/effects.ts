/** What a packet leaves behind on the scratch host: elements, counts, quotas. Seen by looking before and after. */

import type { ManifestObject, Plan } from '../compiler/plan.js';
import type { Scratch } from '../kernel/scratch.js';
import { formatDuration } from '../net/duration.js';
import { FLAG, MessageWriter } from '../wire/netlink.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import { NFT } from '../wire/nftables.js';
import { OBJECT_TYPE, readObject, type WireObject, writeObjectRequest } from '../wire/nftables-objects.js';
import { type Member, membersOf } from './memory.js';
import { objectLabel, setLabel } from './set-label.js';

/** What rules may change, as it is at a moment. */
export interface Memory {
  /** By label. */
  readonly sets: ReadonlyMap<string, readonly Member[]>;
  readonly objects: ReadonlyMap<ManifestObject, WireObject>;
}

/** Sets that neither the policy nor the daemon alone fills, and all counters and quotas. */
export async function memoryOf(scratch: Scratch, { manifest }: Plan): Promise<Memory> {
  const sets = manifest.sets.filter(
    ({ contents, role, data }) => contents === undefined && role.kind !== 'interface' && data === undefined,
  );
  const lists = await membersOf(scratch, manifest, sets);
  const members = new Map<string, Member[]>();
  for (const [index, set] of sets.entries()) {
    const label = setLabel(set, manifest);
    members.set(label, [...(members.get(label) ?? []), ...lists[index]!]);
  }
  return { sets: members, objects: await objectsOf(scratch, manifest) };
}

async function objectsOf(scratch: Scratch, { tables, objects }: Plan['manifest']) {
  const counting = objects.filter(({ kind }) => kind === 'counter' || kind === 'quota');
  const requests = tables.flatMap(({ family, name }) =>
    (['counter', 'quota'] as const).map((kind) => {
      const writer = new MessageWriter(128);
      const object = { family: NFPROTO[family], table: name, type: OBJECT_TYPE[kind] };
      writeObjectRequest(writer, NFT.GETOBJ, FLAG.DUMP, 1, object);
      return writer.finish();
    }),
  );
  const answers = counting.length === 0 ? [] : await scratch.exchange('NETFILTER', requests);
  const found = new Map(
    answers
      .flatMap(({ messages }) => messages.map(({ body }) => readObject(body)))
      .map((object) => [`${object.family} ${object.type} ${object.name}`, object]),
  );
  return new Map(
    counting.flatMap((object): [ManifestObject, WireObject][] => {
      const state = found.get(`${NFPROTO[object.table]} ${OBJECT_TYPE[object.kind]} ${object.name}`);
      return state === undefined ? [] : [[object, state]];
    }),
  );
}

/** The differences, for people. */
export function effectsOf(before: Memory, after: Memory, { manifest }: Plan): string[] {
  const elements = [...after.sets].flatMap(([label, members]) => setChanges(label, before.sets.get(label), members));
  const counted: string[] = [];
  const others: string[] = [];
  for (const [object, state] of after.objects) {
    const grown = growth(before.objects.get(object), state);
    if (grown === undefined) continue;
    if (object.role.kind === 'rule') counted.push(objectLabel(object, manifest).replace(/^count of /, ''));
    else others.push(`${objectLabel(object, manifest)}: ${grown}`);
  }
  return [...elements, ...others, ...(counted.length > 0 ? [`counted at ${counted.join(', ')}`] : [])];
}

function setChanges(label: string, before: readonly Member[] = [], after: readonly Member[]): string[] {
  const known = new Map(before.map((member) => [member.text, member]));
  const changed = after.flatMap(({ text, expiresMs, packets }) => {
    const old = known.get(text);
    if (old === undefined) return [`${text} is added to ${label}${forText(expiresMs)}`];
    if (packets !== undefined && packets > (old.packets ?? 0n)) return [`${text} is counted in ${label}`];
    const isRenewed = expiresMs !== undefined && expiresMs > (old.expiresMs ?? expiresMs);
    return isRenewed ? [`${text} stays in ${label}${forText(expiresMs)}`] : [];
  });
  const gone = [...known.keys()].filter((text) => !after.some((member) => member.text === text));
  return [...changed, ...gone.map((text) => `${text} is deleted from ${label}`)];
}

const forText = (expiresMs: number | undefined): string =>
  expiresMs === undefined ? '' : ` for ${formatDuration(Math.ceil(expiresMs / 1000) * 1000)}`;

/** Undefined when nothing was counted. */
function growth(before: WireObject | undefined, { counter, quota }: WireObject): string | undefined {
  if (quota !== undefined) {
    const used = quota.usedBytes - (before?.quota?.usedBytes ?? 0n);
    return used > 0n ? `${used} bytes more used, ${quota.usedBytes} of ${quota.limitBytes}` : undefined;
  }
  const packets = (counter?.packets ?? 0n) - (before?.counter?.packets ?? 0n);
  return packets > 0n ? `${packets} packet${packets === 1n ? '' : 's'} more` : undefined;
}
