/** A knock's sets in the kernel, and grants as elements of them. */

import type { Manifest } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { type GrantKind, grantKindOf, knockKnown, knockName } from '../extensions/knock-names.js';
import type { KnockSpec } from '../extensions/knock-spec.js';
import type { SetIndex } from '../kernel/kernel.js';
import { addressBits, addressBytes, addressFromBytes, type Family, type Prefix } from '../net/address.js';
import { formatPrefix, isHost, prefixOf } from '../net/prefix.js';
import type { DoorPort } from './knocks.js';

interface GrantSet extends GrantKind {
  readonly set: SetIndex;
  readonly family: Family;
}

interface StageSet {
  readonly set: SetIndex;
  /** Knocks that a source in it has done. */
  readonly count: number;
}

/** A knock of the policy that is loaded. */
export interface LiveKnock {
  readonly name: string;
  readonly spec: KnockSpec;
  readonly grants: readonly GrantSet[];
  readonly stages: readonly StageSet[];
  /** Of those who have signed before. */
  readonly known: ReadonlyMap<Family, SetIndex>;
}

export function liveKnock(name: string, spec: KnockSpec, { sets }: Pick<Manifest, 'sets'>): LiveKnock {
  const grants: GrantSet[] = [];
  const stages: StageSet[] = [];
  const known = new Map<Family, SetIndex>();
  for (const [set, { role }] of sets.entries()) {
    if (role.kind !== 'extension' || role.extension !== knockName || role.name !== name) continue;
    const kind = grantKindOf(role.purpose);
    const [, stage] = /^stage([0-9]+)$/.exec(role.purpose) ?? [];
    if (kind !== undefined) grants.push({ set, family: role.family!, ...kind });
    else if (stage !== undefined) stages.push({ set, count: Number(stage) });
    else if (role.purpose === knockKnown) known.set(role.family!, set);
  }
  return { name, spec, grants, stages, known };
}

export interface GrantElement {
  readonly set: SetIndex;
  readonly key: Uint8Array;
}

/** The sets that sources of this form are in. */
const setsFor = ({ grants }: LiveKnock, source: Prefix): readonly GrantSet[] =>
  grants.filter(({ family, length }) => family === source.family && source.length === (length ?? addressBits(family)));

/** Whether the policy lets in sources of this form: hosts always. */
export const mayHold = (live: LiveKnock, source: Prefix): boolean => setsFor(live, source).length > 0;

/** @throws PosternError `forbidden` for a prefix of another length than the policy allows, `invalid` */
export function elementsOf(live: LiveKnock, source: Prefix, ports?: readonly DoorPort[]): GrantElement[] {
  const found = setsFor(live, source).find((set) => set.ports === (ports !== undefined));
  if (found === undefined) {
    const what = isHost(source) ? 'single ports' : `/${source.length} in IPv${source.family}`;
    throw new PosternError('forbidden', `knock ${live.name} doesn't let in ${formatPrefix(source)}: not for ${what}`);
  }
  const address = addressBytes(source);
  if (ports === undefined) return [{ set: found.set, key: address }];
  return ports.map((port) => ({ set: found.set, key: Buffer.concat([address, portBytes(port)]) }));
}

/** Sets that may hold single ports of the source. */
export const portSets = (live: LiveKnock, source: Prefix): SetIndex[] =>
  setsFor(live, source).flatMap(({ set, ports }) => (ports ? [set] : []));

const protocols: Readonly<Record<DoorPort['protocol'], number>> = { tcp: 6, udp: 17 };

/** In a concatenation each part has 4 bytes at least. */
function portBytes({ protocol, port }: DoorPort): Buffer {
  const bytes = Buffer.alloc(8);
  bytes[0] = protocols[protocol];
  bytes.writeUInt16BE(port, 4);
  return bytes;
}

/** What an element of the set says. */
export function grantOf(
  { family, length, ports }: GrantSet,
  key: Uint8Array,
): { readonly source: Prefix; readonly port?: DoorPort } {
  const bytes = Buffer.from(key);
  const addressLength = family === 4 ? 4 : 16;
  const source = prefixOf(addressFromBytes(bytes.subarray(0, addressLength)), length ?? addressBits(family));
  if (!ports) return { source };
  const protocol = bytes[addressLength] === protocols.tcp ? 'tcp' : 'udp';
  return { source, port: { protocol, port: bytes.readUInt16BE(addressLength + 4) } };
}
