/** The sets of a knock: who may come in, and who is about to. */

import { addressBits, type Family, formatAddress, highestValue } from '../net/address.js';
import { addTo, and, concat, match, meta, setRef, th } from '../nft/build.js';
import type { Expression, Statement } from '../nft/model.js';
import { addressOf, addressType } from './address-field.js';
import { type GrantKind, grantPurpose, knockName } from './knock-names.js';
import type { KnockSpec } from './knock-spec.js';
import type { Ground, SetRequest } from './site.js';

export const families: readonly Family[] = [4, 6];

/** A set of sources. */
export const memory = (name: string, purpose: string, size: number, family: Family): SetRequest => ({
  role: { kind: 'extension', extension: knockName, name, purpose, family },
  key: { type: [addressType(family)] },
  flags: ['dynamic', 'timeout'],
  size,
});

const anyPort: GrantKind = { ports: false };

/** Who may come in, whatever the port. */
export const grantedSet = (name: string, { size }: KnockSpec, family: Family): SetRequest =>
  memory(name, grantPurpose(anyPort), size, family);

/** A set of those who may come in, and what of a packet is looked for in it. */
export interface GrantSet {
  readonly request: SetRequest;
  readonly key: Expression;
}

/** Clients with keys of their own may be let in at their ports alone, and with the network they are in. */
export function grantSets(name: string, spec: KnockSpec, family: Family): GrantSet[] {
  const host: GrantSet = { request: grantedSet(name, spec, family), key: addressOf('source', family) };
  if (spec.spa2 === undefined) return [host];
  const lengths = (family === 4 ? spec.ipv4_prefixes : spec.ipv6_prefixes) ?? [];
  return [undefined, ...new Set(lengths)].flatMap((length) => {
    const source = sourceOf(family, length);
    const size = spec.size;
    const kind = (ports: boolean): GrantKind => ({ ports, ...(length !== undefined && { length }) });
    const plain = memory(name, grantPurpose(kind(false)), size, family);
    const exact = memory(name, grantPurpose(kind(true)), size, family);
    return [
      { request: plain, key: source },
      {
        request: { ...exact, key: { type: [addressType(family), 'inet_proto', 'inet_service'] } },
        key: concat(source, meta('l4proto'), th('dport')),
      },
    ];
  });
}

function sourceOf(family: Family, length: number | undefined): Expression {
  const address = addressOf('source', family);
  if (length === undefined) return address;
  const hostBits = BigInt(addressBits(family) - length);
  return and(address, formatAddress({ family, value: (highestValue(family) >> hostBits) << hostBits }));
}

/** The packet's source is in the set. */
export const isIn = (request: SetRequest, family: Family, ground: Ground): Statement =>
  match(addressOf('source', family), setRef(ground.set(request)));

/** The packet's source comes into the set; an element that is there keeps its timeout. */
export const comesIn = (
  request: SetRequest,
  family: Family,
  timeoutMs: number | undefined,
  ground: Ground,
): Statement => addTo(ground.set(request), addressOf('source', family), timeoutMs === undefined ? {} : { timeoutMs });
