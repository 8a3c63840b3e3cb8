/** What a policy puts into the kernel, as text: small enough to keep, exact enough to tell any two policies apart. */

import { describeIpset } from '../compiler/ipsets.js';
import type { Plan } from '../compiler/plan.js';
import type { Chain, Origin, Rule, Table } from '../nft/model.js';
import { describeBase, renderRule, tableName } from '../nft/render.js';
import { renderObject, renderSet } from '../nft/set.js';

export interface InventoryRule {
  /** Without the comment: a rule that only moved in the policy is still the same rule. */
  readonly text: string;
  readonly comment?: string;
  readonly origin?: Origin;
}

export interface InventoryChain {
  /** `family table name`, as in a listing. */
  readonly name: string;
  /** Hook, priority, devices and policy; '' of a chain that is only jumped to. */
  readonly base: string;
  readonly rules: readonly InventoryRule[];
}

export interface InventoryThing {
  readonly name: string;
  readonly text: string;
  readonly origin?: Origin;
}

export interface Inventory {
  readonly tables: readonly string[];
  readonly chains: readonly InventoryChain[];
  readonly sets: readonly InventoryThing[];
  /** Names are `family table kind name`. */
  readonly objects: readonly InventoryThing[];
  /** Absent in what an older version kept. */
  readonly ipsets?: readonly InventoryThing[];
}

export const emptyInventory: Inventory = { tables: [], chains: [], sets: [], objects: [] };

export function inventoryOf({ ruleset: { tables }, manifest }: Pick<Plan, 'ruleset' | 'manifest'>): Inventory {
  return {
    tables: tables.map(tableName),
    chains: tables.flatMap((table) => table.chains.map((chain) => chainOf(table, chain))),
    sets: tables.flatMap((table) =>
      table.sets.map((set) => thing(`${tableName(table)} ${set.name}`, renderSet(set), set.origin)),
    ),
    objects: tables.flatMap((table) =>
      table.objects.map((object) =>
        thing(`${tableName(table)} ${object.kind} ${object.name}`, renderObject(object), object.origin),
      ),
    ),
    ...(manifest.ipsets !== undefined && {
      ipsets: manifest.ipsets.map((ipset) => ({ name: ipset.name, text: describeIpset(ipset) })),
    }),
  };
}

function chainOf(table: Table, { name, base, rules }: Chain): InventoryChain {
  return {
    name: `${tableName(table)} ${name}`,
    base: base === undefined ? '' : [describeBase(base), base.policy].filter(Boolean).join(' '),
    rules: rules.map(ruleOf),
  };
}

function ruleOf({ comment, ...rule }: Rule): InventoryRule {
  return { ...renderRule(rule), ...(comment !== undefined && { comment }) };
}

/** Without braces and line breaks: it is compared, and shown in a line. */
function thing(name: string, lines: readonly string[], origin: Origin | undefined): InventoryThing {
  const text =
    lines.length > 2
      ? lines
          .slice(1, -1)
          .map((line) => line.trim())
          .join('; ')
      : lines.join(' ');
  return { name, text, ...(origin && { origin }) };
}
