/** Tables of a namespace that aren't ours, as nft text that can be loaded elsewhere. */

import { asPosternError } from '../errors.js';
import type { LiveSets } from './live-sets.js';
import { type Nft, openNft } from './nft.js';

/** Our own: the policy's, and those that are made to look at packets. */
const OWN = /^postern(?:_|$)/;
/** Each is a program to start, and text to load. */
const MOST_TABLES = 32;

export interface ForeignTables {
  /** nft text by `family name`. */
  readonly texts: ReadonlyMap<string, string>;
  /** What could not be read, for people. */
  readonly problems: readonly string[];
}

/** Never throws for a table that can't be read: it is named. */
export async function readForeignTables(sets: LiveSets, namespace?: string): Promise<ForeignTables> {
  const nft = openNft(namespace === undefined ? {} : { netns: namespace });
  const all = sets.tables().filter(({ name }) => !OWN.test(name));
  const problems =
    all.length > MOST_TABLES ? [`only ${MOST_TABLES} of the ${all.length} tables of others were copied`] : [];
  const texts = new Map<string, string>();
  for (const table of all.slice(0, MOST_TABLES)) {
    const name = `${table.family} ${table.name}`;
    try {
      texts.set(name, await copyOf(nft, table));
    } catch (error) {
      problems.push(`table ${name} could not be read (${asPosternError(error).message}): the verdict is without it`);
    }
  }
  return { texts, problems };
}

/** A table with an owner would go with the program that loads it. */
async function copyOf(nft: Nft, table: Parameters<Nft['copy']>[0]): Promise<string> {
  const text = await nft.copy(table);
  return text.replace(/^(\s*flags )([^;\n]*)/m, (line, word: string, flags: string) => {
    const kept = flags.split(',').filter((flag) => !/^\s*(?:owner|persist)\s*$/.test(flag));
    if (kept.length === flags.split(',').length) return line;
    return kept.length === 0 ? '' : word + kept.join(',');
  });
}
