/**
 * The script that brings our tables from what they are to a ruleset, as one nft transaction: all of it holds or
 * nothing changes, and no packet sees anything in between.
 *
 * `flush table` removes rules only. Sets, their elements, counters and quotas stay and are defined again as they are,
 * which changes nothing in them; so bans, timeouts, counts and what is used of a quota outlive a reload. nft 1.0.6 knows
 * no `destroy`: what has to go must exist, hence everything here is held against what is present.
 */

import type { Chain, Element, NamedObject, NftSet, Origin, Ruleset, Table, TableFamily } from './model.js';
import { objectSpec } from './object-spec.js';
import type { Presence, PresentChain } from './presence.js';
import { describeBase, type Line, renderTable, tableName } from './render.js';

/** What was loaded last, as far as a load depends on it; a manifest is one. */
export interface Loaded {
  readonly digest: string;
  readonly tables: readonly { readonly family: TableFamily; readonly name: string }[];
  readonly chains: readonly { readonly table: TableFamily; readonly name: string; readonly base?: string }[];
  readonly sets: readonly { readonly table: TableFamily; readonly name: string; readonly contents?: string }[];
}

/** A ruleset to load and what will be remembered of it; a plan is one. */
export interface Target {
  readonly ruleset: Ruleset;
  readonly manifest: Loaded;
}

/** Contents for sets that are created in this load, by `family table name`. */
export type Contents = ReadonlyMap<string, readonly Element[]>;

/** What a load has to know. */
export interface Reload {
  readonly target: Target;
  /** What was loaded last; undefined on the first load, or when it was forgotten. */
  readonly previous: Loaded | undefined;
  readonly presence: Presence;
  /** For sets that are new in this load and whose contents the policy doesn't own. */
  readonly contents?: Contents;
}

/**
 * The lines that load the target; none when it is loaded already.
 *
 * In our tables everything that is not in the target is deleted, whoever made it; tables that only `previous` had are
 * deleted whole; other tables are not touched. A set's contents are written when the policy owns them (`elements`) and
 * they are not known to be the same already, or when the set is new and `contents` has some for it.
 */
export function loadScript(reload: Reload): Line[] {
  if (isLoaded(reload)) return [];
  const { tables } = reload.target.ruleset;
  return [
    ...tables.flatMap((table) => prepareTable(table, reload)),
    ...tables.flatMap((table) => renderTable({ ...table, sets: table.sets.map((set) => filled(table, set, reload)) })),
    ...lostTables(reload),
  ];
}

/** Deletes exactly the tables of `loaded` that are there. */
export function uninstallScript(loaded: Pick<Loaded, 'tables'>, presence: Presence): Line[] {
  const present = loaded.tables.filter((table) => presence.tables.has(tableName(table)));
  return present.map((table) => line(`delete table ${tableName(table)}`));
}

/** Is everything there, and nothing else, with the policies and as many rules as it should have? */
function isLoaded(reload: Reload): boolean {
  const { target, previous, presence } = reload;
  if (previous?.digest !== target.manifest.digest || lostTables(reload).length > 0) return false;
  return target.ruleset.tables.every(
    (table) =>
      presence.tables.has(tableName(table)) &&
      lostFrom(table, reload).length === 0 &&
      table.chains.every((chain) => isThere(chain, presence.chains.get(path(table, chain.name)))) &&
      table.sets.every(({ name }) => presence.sets.has(path(table, name))) &&
      table.objects.every((object) => presence.objects.has(objectPath(table, object))),
  );
}

const isThere = ({ base, rules }: Chain, present: PresentChain | undefined): boolean =>
  present?.rules === rules.length && (base === undefined || (base.policy ?? 'accept') === present.policy);

const path = (table: Table, name: string): string => `${tableName(table)} ${name}`;
const objectPath = (table: Table, { kind, name }: NamedObject): string => path(table, `${kind} ${name}`);
const line = (text: string, origin?: Origin): Line => ({ text, ...(origin && { origin }) });

/** Everything that has to happen before a table is defined: rules go first, then what only they held. */
function prepareTable(table: Table, reload: Reload): Line[] {
  const name = tableName(table);
  const rewritten = table.sets.filter((set) => isPresent(table, set, reload) && isRewritten(table, set, reload));
  return [
    line(`add table ${name}`),
    ...(reload.presence.tables.has(name) ? [line(`flush table ${name}`)] : []),
    ...rewritten.map((set) => line(`flush ${kindOf(set)} ${path(table, set.name)}`, set.origin)),
    ...lostFrom(table, reload),
  ];
}

const kindOf = (set: NftSet): 'set' | 'map' => (set.data === undefined ? 'set' : 'map');
const isPresent = (table: Table, set: NftSet, { presence }: Reload): boolean =>
  presence.sets.has(path(table, set.name));

/** Does the policy own the contents, and may they differ from what is there? */
function isRewritten(table: Table, set: NftSet, { target, previous }: Reload): boolean {
  if (set.elements === undefined) return false;
  const contentsIn = (loaded: Loaded | undefined): string | undefined =>
    loaded?.sets.find((other) => other.table === table.family && other.name === set.name)?.contents;
  const contents = contentsIn(target.manifest);
  return contents === undefined || contents !== contentsIn(previous);
}

/** The set with the contents that this load writes. */
function filled(table: Table, set: NftSet, reload: Reload): NftSet {
  const { elements, initial: usual, ...definition } = set;
  if (!isPresent(table, set, reload)) {
    const initial = elements ?? reload.contents?.get(path(table, set.name)) ?? usual;
    return initial === undefined ? set : { ...set, elements: initial };
  }
  return isRewritten(table, set, reload) ? set : definition;
}

/**
 * The deletions in one of our tables. Maps go before the chains and objects that they name. A chain whose hook,
 * priority or devices changed and an object that can't change in place go, too: they are defined again below.
 */
function lostFrom(table: Table, reload: Reload): Line[] {
  const { presence } = reload;
  const prefix = `${tableName(table)} `;
  const named = <T>(things: Iterable<[string, T]>): [string, T][] =>
    [...things].filter(([key]) => key.startsWith(prefix)).map(([key, thing]) => [key.slice(prefix.length), thing]);
  const sets = new Set(table.sets.map(({ name }) => name));
  const objects = new Map(table.objects.map((object) => [`${object.kind} ${object.name}`, objectSpec(object)]));
  return [
    ...named(presence.sets)
      .filter(([name]) => !sets.has(name))
      .map(([name, kind]) => line(`delete ${kind} ${path(table, name)}`)),
    ...named(presence.chains)
      .filter(([name, chain]) => !staysAsItIs(table, name, chain, reload))
      .map(([name]) => line(`delete chain ${path(table, name)}`)),
    ...named(presence.objects)
      .filter(([kindAndName, spec]) => objects.get(kindAndName) !== spec)
      .map(([kindAndName]) => line(`delete ${kindAndName.replace(/ (?=[^ ]+$)/, ` ${tableName(table)} `)}`)),
  ];
}

function staysAsItIs(table: Table, name: string, present: PresentChain, { target, previous }: Reload): boolean {
  const chain = table.chains.find((chain) => chain.name === name);
  if (chain === undefined) return false;
  const { base } = chain;
  if (present.base !== (base === undefined ? '' : describeBase({ ...base, devices: [] }))) return false;
  // A listing doesn't tell the devices; without a manifest that does, the chain is better made anew.
  const baseIn = (loaded: Loaded | undefined): string | undefined =>
    loaded?.chains.find((other) => other.table === table.family && other.name === name)?.base;
  return base?.devices === undefined || baseIn(target.manifest) === baseIn(previous);
}

function lostTables({ target, previous, presence }: Reload): Line[] {
  const kept = new Set(target.ruleset.tables.map(tableName));
  const lost = previous?.tables.filter((table) => !kept.has(tableName(table))) ?? [];
  return uninstallScript({ tables: lost }, presence);
}
