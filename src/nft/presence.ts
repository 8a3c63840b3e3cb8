/** What of ours is in the kernel, by name: the smallest view that tells what a load has to delete, and what drifted. */

import type { ChainPolicy, TableFamily } from './model.js';
import type { Listing } from './read.js';

export interface PresentChain {
  /** `type hook priority` of a base chain, '' of any other. Devices are not known: nft doesn't list them. */
  readonly base: string;
  readonly policy?: ChainPolicy;
  readonly rules: number;
}

export interface Presence {
  /** `family name`. */
  readonly tables: ReadonlySet<string>;
  /** By `family table name`. */
  readonly chains: ReadonlyMap<string, PresentChain>;
  /** `family table name` of sets and maps. */
  readonly sets: ReadonlyMap<string, 'set' | 'map'>;
  /** By `family table kind name`; the value is `objectSpec` of what it is now. */
  readonly objects: ReadonlyMap<string, string>;
  /** Ipsets of the manifest that are there as they should be, with their number of elements. */
  readonly ipsets?: ReadonlyMap<string, number>;
}

/** The part of a listing that lies in these tables. */
export function presenceOf(
  listing: Listing,
  tables: readonly { readonly family: TableFamily; readonly name: string }[],
): Presence {
  const ours = new Set(tables.map(({ family, name }) => `${family} ${name}`));
  const within = (thing: { family: TableFamily; table: string }): boolean => ours.has(`${thing.family} ${thing.table}`);
  return {
    tables: new Set(listing.tables.map(({ family, name }) => `${family} ${name}`).filter((name) => ours.has(name))),
    chains: new Map(
      listing.chains
        .filter(within)
        .map(({ family, table, name, base = '', policy, rules }) => [
          `${family} ${table} ${name}`,
          { base, ...(policy && { policy }), rules },
        ]),
    ),
    sets: new Map(
      listing.sets.filter(within).map(({ family, table, name, kind }) => [`${family} ${table} ${name}`, kind]),
    ),
    objects: new Map(
      listing.objects
        .filter(within)
        .map(({ family, table, kind, name, spec }) => [`${family} ${table} ${kind} ${name}`, spec]),
    ),
  };
}
