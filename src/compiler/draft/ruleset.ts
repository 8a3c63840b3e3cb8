/** The ruleset while it grows: sets, objects and chains find their names and roles here. */

import type { ObjectRequest, SetRequest } from '../../extensions/site.js';
import type {
  BaseChain,
  Chain,
  NamedObject,
  NftSet,
  Origin,
  Rule,
  Ruleset,
  SetType,
  Table,
  TableFamily,
} from '../../nft/model.js';
import { describeBase } from '../../nft/render.js';
import type { ManifestChain, ManifestObject, ManifestSet } from '../plan.js';
import { digest, Names, nameable, objectName, setName } from './names.js';

/** The name of all our tables. */
export const tableName = 'postern';

export interface ChainDraft {
  readonly name: string;
  readonly base?: BaseChain;
  readonly rules: Rule[];
}

class TableDraft {
  readonly objects = new Map<string, { object: NamedObject; role: ManifestObject['role'] }>();
  readonly sets = new Map<string, { set: NftSet; role: ManifestSet['role']; shape: string; bound: number }>();
  readonly chains = new Map<string, ChainDraft>();
  readonly setNames = new Names();
  readonly objectNames = new Names();
  readonly chainNames = new Names();
}

export class RulesetDraft {
  readonly #tables = new Map<TableFamily, TableDraft>([['inet', new TableDraft()]]);

  /** Declares a set; `bound` is how many elements it may have where the kernel isn't told. */
  set(request: SetRequest, origin: Origin, bound = request.size ?? request.elements?.length ?? 0): string {
    const { table = 'inet', role, variant: _, ...body } = request;
    const draft = this.#table(table);
    const shape = shapeOf(request);
    const name = draft.setNames.claim(setName(role, shape, request.counter), JSON.stringify([role, shape]));
    if (!draft.sets.has(name)) draft.sets.set(name, { set: { name, ...body, origin }, role, shape, bound });
    return name;
  }

  object(request: ObjectRequest, origin: Origin): string {
    const { table = 'inet', role, ...body } = request;
    const draft = this.#table(table);
    const name = draft.objectNames.claim(objectName(role), ownerOf(role));
    if (!draft.objects.has(name)) draft.objects.set(name, { object: { name, ...body, origin } as NamedObject, role });
    return name;
  }

  /** The chain that an owner has, created when it is asked for first. */
  chain(wanted: string, owner: string, base?: BaseChain, table: TableFamily = 'inet'): ChainDraft {
    const draft = this.#table(table);
    const name = draft.chainNames.claim(nameable(wanted), owner);
    const known = draft.chains.get(name);
    if (known !== undefined) return known;
    const chain: ChainDraft = { name, ...(base && { base }), rules: [] };
    draft.chains.set(name, chain);
    return chain;
  }

  /** All chains of a table so far. */
  chains(table: TableFamily): ChainDraft[] {
    return [...this.#table(table).chains.values()];
  }

  build(): Ruleset {
    return { tables: [...this.#tables].map(([family, draft]) => buildTable(family, draft)) };
  }

  manifestSets(): ManifestSet[] {
    return [...this.#tables].flatMap(([table, draft]) =>
      [...draft.sets.values()].map(({ set, role, shape, bound }) => ({
        table,
        name: set.name,
        key: typeNames(set.key),
        ...(set.data && { data: typeNames(set.data) }),
        interval: set.flags.includes('interval'),
        timeout: set.flags.includes('timeout'),
        counter: set.counter === true,
        size: bound,
        shape,
        role,
        ...(set.elements && { contents: digest(set.elements, 64) }),
      })),
    );
  }

  manifestObjects(): ManifestObject[] {
    return [...this.#tables].flatMap(([table, draft]) =>
      [...draft.objects.values()].map(({ object, role }) => ({ table, kind: object.kind, name: object.name, role })),
    );
  }

  manifestChains(): ManifestChain[] {
    return [...this.#tables].flatMap(([table, draft]) =>
      [...draft.chains.values()].map(({ name, base }) => ({ table, name, ...(base && { base: describeBase(base) }) })),
    );
  }

  #table(family: TableFamily): TableDraft {
    const draft = this.#tables.get(family) ?? new TableDraft();
    this.#tables.set(family, draft);
    return draft;
  }
}

/** A rule's text and place are long, and its id says it. */
const ownerOf = (role: ManifestObject['role']): string =>
  role.kind === 'rule' ? `rule ${role.rule}` : JSON.stringify(role);

const typeNames = (type: SetType): readonly string[] => ('type' in type ? type.type : (type.of ?? []));

const buildTable = (family: TableFamily, draft: TableDraft): Table => ({
  family,
  name: tableName,
  objects: [...draft.objects.values()].map(({ object }) => object),
  sets: [...draft.sets.values()].map(({ set }) => set),
  chains: [...draft.chains.values()].map(({ name, base, rules }): Chain => ({ name, ...(base && { base }), rules })),
});

/** What can't be changed in place. Size and default timeout can. */
const shapeOf = ({ key, data, flags, counter, variant }: SetRequest): string =>
  digest([key, data, [...flags].sort(), counter === true, variant]);
