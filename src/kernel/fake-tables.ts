/** The tables of the fake kernel, and what a load makes of them: new ones, so that a failing load leaves the old. */

import type { Manifest, ManifestSet, Plan } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { encodeKey } from '../nft/key.js';
import type { Chain, Element, NamedObject, NftSet, Table } from '../nft/model.js';
import type { PresentChain } from '../nft/presence.js';
import { describeBase, renderRuleset, tableName } from '../nft/render.js';
import { quotable } from '../nft/text.js';
import type { Contents } from '../nft/transaction.js';
import { carriedElements, successions } from './carry.js';
import { assertLoadable, typeNames } from './fake-ruleset.js';
import { FakeSet, type SetShape } from './fake-set.js';
import type { ElementState } from './kernel.js';

export interface FakeObject {
  definition: NamedObject;
  packets: bigint;
  bytes: bigint;
  usedBytes: bigint;
}

export interface FakeTable {
  readonly chains: ReadonlyMap<string, PresentChain>;
  readonly sets: ReadonlyMap<string, FakeSet>;
  readonly maps: ReadonlySet<string>;
  /** By `kind name`. */
  readonly objects: ReadonlyMap<string, FakeObject>;
}

/** By `family name`. */
export type FakeTables = ReadonlyMap<string, FakeTable>;

/** What a load starts from. */
export interface FakeLoad {
  readonly plan: Plan;
  readonly previous: Manifest | undefined;
  /** For sets that are new in this load. */
  readonly contents: Contents;
  readonly tables: FakeTables;
  readonly now: () => number;
}

/**
 * The tables after a load; `tables` itself when there is nothing to do.
 * @throws PosternError `kernel`, `full`, `conflict` as the real kernel would refuse.
 */
export function loadedTables(load: FakeLoad): FakeTables {
  const { plan, previous, tables } = load;
  // What can't be written as text can't be loaded either.
  renderRuleset(plan.ruleset);
  assertLoadable(plan.ruleset);
  if (plan.manifest.digest === previous?.digest && isComplete(plan, tables)) return tables;
  const contents = new Map([...carriedContents(load), ...load.contents]);
  const loaded = new Map(tables);
  for (const table of previous?.tables ?? []) loaded.delete(tableName(table));
  for (const table of plan.ruleset.tables) {
    loaded.set(tableName(table), loadedTable(table, tables.get(tableName(table)), { ...load, contents }));
  }
  return loaded;
}

function isComplete(plan: Plan, tables: FakeTables): boolean {
  return plan.ruleset.tables.every((table) => {
    const there = tables.get(tableName(table));
    return (
      there?.chains.size === table.chains.length &&
      there.sets.size === table.sets.length &&
      there.objects.size === table.objects.length
    );
  });
}

/** `family table name` of a manifest's set. */
function pathIn(manifest: Manifest, { table: family, name }: ManifestSet): string {
  const table = manifest.tables.find((candidate) => candidate.family === family);
  return `${family} ${table?.name} ${name}`;
}

function carriedContents({ plan, previous, tables }: FakeLoad): Map<string, readonly Element[]> {
  const contents = new Map<string, readonly Element[]>();
  for (const { from, to } of successions(plan, previous)) {
    const former = previous!.sets[from]!;
    const table = previous!.tables.find(({ family }) => family === former.table);
    const old = table && tables.get(tableName(table))?.sets.get(former.name);
    const target = plan.manifest.sets[to]!;
    if (old !== undefined) contents.set(pathIn(plan.manifest, target), carriedElements(target, old.states()));
  }
  return contents;
}

function loadedTable(table: Table, before: FakeTable | undefined, load: FakeLoad): FakeTable {
  const chains = table.chains.map((chain): [string, PresentChain] => [chain.name, presentChain(chain)]);
  const sets = table.sets.map((set): [string, FakeSet] => [
    set.name,
    loadedSet(table, set, before?.sets.get(set.name), load),
  ]);
  const objects = table.objects.map((definition): [string, FakeObject] => {
    const key = `${definition.kind} ${definition.name}`;
    return [key, loadedObject(definition, before?.objects.get(key))];
  });
  return {
    chains: new Map(chains),
    sets: new Map(sets),
    maps: new Set(table.sets.filter(({ data }) => data !== undefined).map(({ name }) => name)),
    objects: new Map(objects),
  };
}

function presentChain({ base, rules }: Chain): PresentChain {
  if (base === undefined) return { base: '', rules: rules.length };
  const { policy = 'accept' } = base;
  return { base: describeBase({ ...base, devices: [] }), policy, rules: rules.length };
}

/** Counts and what is used of a quota stay; `used` is for a new one. */
function loadedObject(definition: NamedObject, before: FakeObject | undefined): FakeObject {
  if (before !== undefined) return { ...before, definition };
  const used = definition.kind === 'quota' ? (definition.used ?? 0) : 0;
  return { definition, packets: 0n, bytes: 0n, usedBytes: BigInt(used) };
}

function loadedSet(table: Table, set: NftSet, before: FakeSet | undefined, load: FakeLoad): FakeSet {
  const counts = load.plan.manifest.sets.some(
    ({ table: family, name, counter }) => family === table.family && name === set.name && counter,
  );
  const shape = shapeOf(set, counts);
  if (before !== undefined && !sameShape(before.shape, shape)) {
    const at = set.origin === undefined ? '' : `${set.origin.file}:${set.origin.line}:${set.origin.column}: `;
    throw new PosternError(
      'conflict',
      `${at}the kernel refuses set ${set.name}: File exists (it exists in another form); nothing was changed`,
    );
  }
  if (before !== undefined && set.elements === undefined) return before.reshaped(shape);
  const loaded = new FakeSet(shape, load.now);
  for (const element of set.elements ?? load.contents.get(`${tableName(table)} ${set.name}`) ?? set.initial ?? []) {
    const key = shape.types && encodeKey(shape.types, element.value);
    if (key !== undefined) loaded.add({ ...key, ...stateOf(element) });
  }
  return loaded;
}

function shapeOf({ name, key, flags, size, timeoutMs }: NftSet, counter: boolean): SetShape {
  return {
    name,
    types: typeNames(key),
    interval: flags.includes('interval'),
    timeout: flags.includes('timeout'),
    counter,
    size,
    defaultTimeoutMs: timeoutMs,
  };
}

const sameShape = (a: SetShape, b: SetShape): boolean =>
  a.interval === b.interval &&
  a.timeout === b.timeout &&
  a.counter === b.counter &&
  a.types?.join() === b.types?.join();

function stateOf({ timeoutMs, expiresMs, comment, counter }: Element): Omit<ElementState, 'key'> {
  return {
    ...(timeoutMs !== undefined && timeoutMs > 0 && { timeoutMs, expiresMs: expiresMs ?? timeoutMs }),
    // As it comes out of nft text.
    ...(comment !== undefined && { comment: quotable(comment).slice(1, -1) }),
    ...counter,
  };
}
