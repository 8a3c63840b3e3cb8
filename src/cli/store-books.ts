/** What the state folder and the policy say of an address, where no daemon runs that knows more. */

import { join } from 'node:path';
import type { Plan, PlanTable } from '../compiler/plan.js';
import { type Address, addressBits, formatAddress, type Prefix } from '../net/address.js';
import { formatPrefix, prefixOf, rangeContains } from '../net/prefix.js';
import { rangePrefixes } from '../net/ranges.js';
import type { Books, GrantConcern, TableConcern } from '../oracle/address.js';
import { nodeDisk } from '../store/disk.js';
import { readFolder } from '../store/read-folder.js';
import type { State } from '../store/state.js';
import { stateFolder } from './state/folder.js';

interface Places {
  readonly netns?: string;
  readonly state?: string;
}

/** @throws PosternError `system` when the folder can't be read. */
export function booksOfStore(address: Address, { tables }: Pick<Plan, 'tables'>, places: Places): Books {
  const { state } = readFolder(nodeDisk(join(stateFolder(places), 'store')));
  const now = Date.now();
  return {
    tables: tables.flatMap((table) => deciding([policyEntry(table, address), storedEntry(state, table, address, now)])),
    grants: grantsOf(state, address, now),
  };
}

interface Entry {
  readonly length: number;
  readonly concern: TableConcern;
}

/** The longer prefix; of the same one, what the policy says. */
function deciding(entries: readonly (Entry | undefined)[]): TableConcern[] {
  const [first] = entries.filter((entry) => entry !== undefined).sort((a, b) => b.length - a.length);
  return first === undefined ? [] : [first.concern];
}

function policyEntry({ name, entries }: PlanTable, address: Address): Entry | undefined {
  const covering = entries.flatMap(({ range, not, origin }) =>
    range.family === address.family && rangeContains(range, address)
      ? rangePrefixes(range)
          .filter((prefix) => prefixOf(address, prefix.length).value === prefix.value)
          .map((prefix) => ({ prefix, not, source: `policy ${origin.file}` }))
      : [],
  );
  const [longest] = covering.sort((a, b) => b.prefix.length - a.prefix.length);
  return longest && entryOf(name, longest.prefix, longest);
}

function storedEntry(state: State, { name }: PlanTable, address: Address, now: number): Entry | undefined {
  for (let length = addressBits(address.family); length >= 0; length--) {
    const prefix = prefixOf(address, length);
    const found = state.table(name)?.get(prefix);
    if (found?.op !== 'add' || (found.expiresAt ?? Number.POSITIVE_INFINITY) <= now) continue;
    const { not, expiresAt, comment, origin } = found;
    return entryOf(name, prefix, {
      not,
      source: `${origin.kind} ${origin.id}`.trimEnd(),
      ...(expiresAt !== undefined && { until: new Date(expiresAt).toISOString() }),
      ...(comment !== undefined && { comment }),
    });
  }
  return undefined;
}

function entryOf(
  table: string,
  prefix: Prefix,
  { not, source, until, comment }: { not: boolean; source: string; until?: string; comment?: string },
): Entry {
  const concern = {
    ...{ table, entry: formatPrefix(prefix), source },
    ...(not && { not }),
    ...(until !== undefined && { until }),
    ...(comment !== undefined && { comment }),
  };
  return { length: prefix.length, concern };
}

/** As the engine keeps them: by knock and address. */
function grantsOf(state: State, address: Address, now: number): GrantConcern[] {
  const text = formatAddress(address);
  return [...state.values('knock')].flatMap(({ key, value, expiresAt }) => {
    const [knock, of] = key.split(' ');
    if (knock === undefined || of !== text || value === undefined) return [];
    if ((expiresAt ?? Number.POSITIVE_INFINITY) <= now) return [];
    const { by = 'a knock', client } = value as { readonly by?: string; readonly client?: string };
    const until = expiresAt === undefined ? {} : { until: new Date(expiresAt).toISOString() };
    return [{ knock, by: client === undefined ? by : `${by} of ${client}`, ...until }];
  });
}
