/** The difference between two policies in the kernel, and between a policy and the kernel, for people and programs. */

import type { Presence } from '../nft/presence.js';
import type { Inventory, InventoryChain, InventoryRule, InventoryThing } from './inventory.js';
import type { PlanChange, PolicyDiff } from './policy-control.js';

/** What `after` changes in a kernel that holds `before`, less what is missing from it. */
export function inventoryDiff(before: Inventory, after: Inventory, presence: Presence): PlanChange[] {
  const present = presentPart(before, presence);
  return [
    ...things('table', named(present.tables), named(after.tables)),
    ...things('object', present.objects, after.objects),
    ...things('set', present.sets, after.sets),
    ...things('ipset', present.ipsets ?? [], after.ipsets ?? []),
    ...chains(present.chains, after.chains, presence),
    ...strays(after, presence),
  ];
}

/** Lines such as `+ rule inet postern input: tcp dport 22 accept (postern.yaml:12)`. */
export function formatDiff({ changes, warnings }: PolicyDiff): string {
  const lines = changes.map(({ action, kind, name, text, origin }) => {
    const where = origin === undefined ? '' : ` (${origin.file}:${origin.line})`;
    return `${signs[action]} ${kind} ${name}${text === undefined ? '' : `: ${text}`}${where}`;
  });
  return [...warnings.map((warning) => `! ${warning}`), ...lines].map((line) => `${line}\n`).join('');
}

const signs = { add: '+', delete: '-', change: '~' } as const;

function presentPart(inventory: Inventory, presence: Presence): Inventory {
  return {
    tables: inventory.tables.filter((name) => presence.tables.has(name)),
    chains: inventory.chains.filter(({ name }) => presence.chains.has(name)),
    sets: inventory.sets.filter(({ name }) => presence.sets.has(name)),
    objects: inventory.objects.filter(({ name }) => presence.objects.has(name)),
    ipsets: (inventory.ipsets ?? []).filter(({ name }) => presence.ipsets?.has(name)),
  };
}

function named(names: readonly string[]): InventoryThing[] {
  return names.map((name) => ({ name, text: '' }));
}

/** Additions and changes. */
function things(
  kind: PlanChange['kind'],
  before: readonly InventoryThing[],
  after: readonly InventoryThing[],
): PlanChange[] {
  const old = new Map(before.map((thing) => [thing.name, thing]));
  const changes: PlanChange[] = [];
  for (const { name, text, origin } of after) {
    const was = old.get(name);
    const about = { kind, name, ...(origin && { origin }) };
    if (was === undefined) changes.push({ action: 'add', ...about, ...(text && { text }) });
    else if (was.text !== text) changes.push({ action: 'change', ...about, text: `${was.text} → ${text}` });
  }
  return changes;
}

function chains(before: readonly InventoryChain[], after: readonly InventoryChain[], presence: Presence): PlanChange[] {
  const base = ({ name, base: text }: InventoryChain) => ({ name, text });
  const old = new Map(before.map((chain) => [chain.name, chain]));
  return [
    ...things('chain', before.map(base), after.map(base)),
    ...after.flatMap((chain) => {
      const was = old.get(chain.name);
      const isWhole = presence.chains.get(chain.name)?.rules === was?.rules.length;
      return rules(chain.name, was !== undefined && isWhole ? was.rules : [], chain.rules);
    }),
  ];
}

/** What is ours in the kernel and not in the plan. */
function strays(after: Inventory, presence: Presence): PlanChange[] {
  const of = (kind: PlanChange['kind'], present: Iterable<string>, planned: readonly { readonly name: string }[]) => {
    const names = new Set(planned.map(({ name }) => name));
    return Array.from(present, (name) => ({ action: 'delete', kind, name }) as const).filter(
      ({ name }) => !names.has(name),
    );
  };
  return [
    ...of('table', presence.tables, named(after.tables)),
    ...of('set', presence.sets.keys(), after.sets),
    ...of('ipset', presence.ipsets?.keys() ?? [], after.ipsets ?? []),
    ...of('chain', presence.chains.keys(), after.chains),
    ...of('object', presence.objects.keys(), after.objects),
  ];
}

/** Rules that differ, after what stays the same in front and behind. */
function rules(chain: string, before: readonly InventoryRule[], after: readonly InventoryRule[]): PlanChange[] {
  const same = (a: number, b: number) => before[a]!.text === after[b]!.text;
  let front = 0;
  while (front < Math.min(before.length, after.length) && same(front, front)) front++;
  let behind = 0;
  const most = Math.min(before.length, after.length) - front;
  while (behind < most && same(before.length - 1 - behind, after.length - 1 - behind)) behind++;
  const [old, now] = [before.slice(front, before.length - behind), after.slice(front, after.length - behind)];
  const kept = longestCommon(old, now);
  const change = (action: 'add' | 'delete', { text, origin }: InventoryRule): PlanChange => ({
    action,
    kind: 'rule',
    name: chain,
    text,
    ...(origin && { origin }),
  });
  return [
    ...old.filter((_, index) => !kept.before.has(index)).map((rule) => change('delete', rule)),
    ...now.filter((_, index) => !kept.after.has(index)).map((rule) => change('add', rule)),
    ...moved(
      chain,
      [
        ...before.slice(0, front),
        ...old.filter((_, index) => kept.before.has(index)),
        ...before.slice(before.length - behind),
      ],
      [
        ...after.slice(0, front),
        ...now.filter((_, index) => kept.after.has(index)),
        ...after.slice(after.length - behind),
      ],
    ),
  ];
}

/** Rules that stay and whose comment, their place in the policy, doesn't: one change for all of a chain. */
function moved(chain: string, before: readonly InventoryRule[], after: readonly InventoryRule[]): PlanChange[] {
  const count = after.filter(({ comment }, index) => comment !== before[index]!.comment).length;
  if (count === 0) return [];
  const text =
    count === 1 ? '1 rule stands on another line of the policy' : `${count} rules stand on other lines of the policy`;
  return [{ action: 'change', kind: 'rule', name: chain, text }];
}

/** Cells of the table that finds common rules; chains that differ in more are shown as wholly new. */
const commonCells = 4_000_000;

/** The rules that both have in the same order, by index. */
function longestCommon(
  before: readonly InventoryRule[],
  after: readonly InventoryRule[],
): { readonly before: Set<number>; readonly after: Set<number> } {
  const kept = { before: new Set<number>(), after: new Set<number>() };
  const width = after.length + 1;
  if (before.length * width > commonCells) return kept;
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (a: number, b: number) => lengths[a * width + b]!;
  for (let a = before.length - 1; a >= 0; a--) {
    for (let b = after.length - 1; b >= 0; b--) {
      const isSame = before[a]!.text === after[b]!.text;
      lengths[a * width + b] = isSame ? at(a + 1, b + 1) + 1 : Math.max(at(a + 1, b), at(a, b + 1));
    }
  }
  for (let a = 0, b = 0; a < before.length && b < after.length; ) {
    if (before[a]!.text === after[b]!.text) {
      kept.before.add(a++);
      kept.after.add(b++);
    } else if (at(a + 1, b) >= at(a, b + 1)) a++;
    else b++;
  }
  return kept;
}
