/** Everything that concerns an address: tables, grants, what rules remember and count of it, and the rules that name it. */

import type { ManifestSet, Plan } from '../compiler/plan.js';
import type { ElementState } from '../kernel/kernel.js';
import { type Address, addressBytes, addressFromBytes, formatAddress } from '../net/address.js';
import { formatRange, rangeContains } from '../net/prefix.js';
import type { AddressTerm, Choice, Policy, Rule } from '../policy/ast.js';
import { addressTypeOf, elementsWith, hasPartOf } from './address-elements.js';
import type { Loaded } from './live-sets.js';
import { tableRanges } from './plan-contents.js';
import { type Place, placeText } from './policy-index.js';
import { objectLabel, setLabel } from './set-label.js';

/** The entry of a table that decides about the address. */
export interface TableConcern {
  readonly table: string;
  /** As it is in the table: the address, or a prefix around it. */
  readonly entry: string;
  /** An exception: because of it the address is not in the table. */
  readonly not?: boolean;
  /** Who added it. */
  readonly source?: string;
  /** ISO 8601; absent: permanent. */
  readonly until?: string;
  readonly comment?: string;
}

/** Somebody was let in by a knock. */
export interface GrantConcern {
  readonly knock: string;
  /** How, and who signed. */
  readonly by: string;
  /** ISO 8601; absent: permanent. */
  readonly until?: string;
}

/** What a set remembers of the address. */
export interface MemoryConcern {
  readonly what: string;
  /** The element's key, when the address is only a part of it: `203.0.113.5, tcp, port 22`. */
  readonly element?: string;
  readonly expiresMs?: number;
  readonly packets?: string;
  readonly bytes?: string;
  /** Of an element that has a quota of its own. */
  readonly quota?: Omit<QuotaConcern, 'quota'>;
  /** In place of the rest: so many more elements of the set have the address. */
  readonly more?: number;
}

/** A quota that a rule about the address uses. */
export interface QuotaConcern {
  readonly quota: string;
  readonly usedBytes: string;
  readonly limitBytes: string;
}

export interface RuleConcern {
  readonly place: Place;
  readonly rule: string;
  /** `from`, `to`. */
  readonly as: 'from' | 'to';
  /** Why it is about the address: the table, network or range. */
  readonly because: string;
}

export interface AddressAnswer {
  readonly address: string;
  readonly tables: readonly TableConcern[];
  readonly grants: readonly GrantConcern[];
  readonly remembered: readonly MemoryConcern[];
  readonly quotas: readonly QuotaConcern[];
  readonly rules: readonly RuleConcern[];
}

/** What somebody knows who keeps the books: who added an entry, who knocked. */
export interface Books {
  readonly tables: readonly TableConcern[];
  readonly grants: readonly GrantConcern[];
}

export interface AddressQuestion {
  readonly address: Address;
  readonly policy: Policy;
  readonly plan: Plan;
  /** Absent: nothing of ours is. */
  readonly loaded?: Loaded;
  /** Beside what is in the kernel. */
  readonly books?: Books;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** @throws PosternError when the kernel can't be asked. */
export function concernsOf({ address, policy, plan, loaded, books, now }: AddressQuestion): AddressAnswer {
  const booked = books?.tables ?? [];
  const inKernel = loaded === undefined ? [] : tablesOf(loaded, address, now);
  // What rules added stands in the kernel alone.
  const tables = [...booked, ...inKernel.filter(({ table }) => !booked.some((one) => one.table === table))];
  const inTables = new Set(tables.filter(({ not }) => !not).map(({ table }) => table));
  const rules = rulesAbout(policy, plan, address, inTables);
  return {
    address: formatAddress(address),
    tables,
    grants: books?.grants ?? [],
    remembered: loaded === undefined ? [] : rememberedOf(loaded, address),
    quotas: loaded === undefined ? [] : quotasOf(loaded, plan, rules),
    rules,
  };
}

/** Tables that hold the address in the kernel. */
function tablesOf({ sets, plan }: Loaded, address: Address, now: number): TableConcern[] {
  return plan.manifest.sets.flatMap((set) => {
    const state =
      set.role.kind === 'table' && isOf(set, address) ? sets.covering(set, addressBytes(address)) : undefined;
    if (set.role.kind !== 'table' || state === undefined) return [];
    const { expiresMs, comment } = state;
    return {
      table: set.role.table,
      entry: entryText(state),
      ...(expiresMs !== undefined && { until: new Date(now + expiresMs).toISOString() }),
      ...(comment !== undefined && { comment }),
    };
  });
}

function entryText({ key, keyEnd = key }: ElementState): string {
  const [first, last] = [addressFromBytes(key), addressFromBytes(keyEnd)];
  return formatRange({ family: first.family, first: first.value, last: last.value });
}

/** What else the kernel's sets hold of the address. */
function rememberedOf({ sets, plan: { manifest } }: Loaded, address: Address): MemoryConcern[] {
  return manifest.sets.flatMap((set) => {
    const { kind } = set.role;
    if (kind !== 'account' && kind !== 'rule' && kind !== 'extension') return [];
    const what = setLabel(set, manifest);
    if (hasPartOf(set, address)) {
      const { elements, more } = elementsWith(sets, set, address);
      const told = elements.map(({ text, state }): MemoryConcern => ({ what, element: text, ...figures(state) }));
      return more === 0 ? told : [...told, { what, more }];
    }
    const state = isOf(set, address) ? sets.covering(set, addressBytes(address)) : undefined;
    return state === undefined ? [] : [{ what, ...figures(state) }];
  });
}

const isOf = ({ key }: ManifestSet, address: Address): boolean => key.length === 1 && key[0] === addressTypeOf(address);

function figures({ expiresMs, packets, bytes, usedBytes, limitBytes }: ElementState): Omit<MemoryConcern, 'what'> {
  const isLimited = usedBytes !== undefined && limitBytes !== undefined;
  return {
    ...(expiresMs !== undefined && { expiresMs }),
    ...(packets !== undefined && { packets: String(packets) }),
    ...(bytes !== undefined && { bytes: String(bytes) }),
    ...(isLimited && { quota: { usedBytes: String(usedBytes), limitBytes: String(limitBytes) } }),
  };
}

/** Named quotas in the nft rules that the rules were made into. */
function quotasOf(
  { sets, plan: { manifest } }: Loaded,
  { ruleset }: Plan,
  about: readonly RuleConcern[],
): QuotaConcern[] {
  const places = new Set(about.map(({ place }) => `${place.line}:${place.column}`));
  const names = new Set<string>();
  for (const { family, chains } of ruleset.tables) {
    for (const { origin, statements } of chains.flatMap(({ rules }) => rules)) {
      if (origin === undefined || !places.has(`${origin.line}:${origin.column}`)) continue;
      for (const one of statements)
        if ('quota' in one && typeof one.quota === 'string') names.add(`${family} ${one.quota}`);
    }
  }
  return manifest.objects.flatMap((object) => {
    const state = names.has(`${object.table} ${object.name}`) ? sets.object(object) : undefined;
    const { usedBytes, limitBytes } = state ?? {};
    if (usedBytes === undefined || limitBytes === undefined) return [];
    return [{ quota: objectLabel(object, manifest), usedBytes: String(usedBytes), limitBytes: String(limitBytes) }];
  });
}

/**
 * The rules whose `from` or `to` covers the address.
 * @param inTables names of the tables that hold it now, beside what the policy itself says
 */
function rulesAbout(policy: Policy, plan: Plan, address: Address, inTables: ReadonlySet<string>): RuleConcern[] {
  const held = new Set(inTables);
  for (const { name, entries } of plan.tables) {
    if (tableRanges(entries, address.family).some((range) => rangeContains(range, address))) held.add(name);
  }
  const rules: Rule[] = [...policy.nat, ...[...policy.chains.values()].flatMap((chain) => chain.rules)];
  return rules.flatMap((rule) =>
    rule.matches.flatMap((match): RuleConcern[] => {
      if ((match.word !== 'from' && match.word !== 'to') || match.addresses === 'any') return [];
      const because = coveredBy(match.addresses, address, held);
      if (because === undefined) return [];
      const { file, line, column } = rule.at;
      return [{ place: { file, line, column }, rule: rule.text, as: match.word, because }];
    }),
  );
}

function coveredBy(
  { any, not }: Choice<AddressTerm>,
  address: Address,
  tables: ReadonlySet<string>,
): string | undefined {
  if (not.some((term) => covers(term, address, tables))) return undefined;
  if (any.length === 0) return 'it is none of the exceptions';
  const term = any.find((one) => covers(one, address, tables));
  return term && termText(term);
}

function covers(term: AddressTerm, address: Address, tables: ReadonlySet<string>): boolean {
  if (term.kind === 'table') return tables.has(term.table);
  return term.kind === 'range' && term.range.family === address.family && rangeContains(term.range, address);
}

const termText = (term: AddressTerm): string => (term.kind === 'table' ? `it is in <${term.table}>` : 'it is named');

export function addressText({ address, tables, grants, remembered, quotas, rules }: AddressAnswer): string {
  const blocks = [
    block('Tables', tables.map(tableText)),
    block(
      'Knocks',
      grants.map(({ knock, by, until }) => `${knock}: let in by ${by} ${untilText(until)}`),
    ),
    block('Remembered', remembered.map(memoryText)),
    block(
      'Quotas',
      quotas.map(({ quota, usedBytes, limitBytes }) => `${quota}: ${usedBytes} of ${limitBytes} bytes used`),
    ),
    block(
      'Rules',
      rules.map(({ place, rule, as, because }) => `${placeText(place)} ${rule}   (${as}: ${because})`),
    ),
  ].filter((text) => text !== '');
  return `${address}\n\n${blocks.join('\n\n') || '  no table, no grant, no counter and no rule is about it'}\n`;
}

function tableText({ table, entry, not, source, until, comment }: TableConcern): string {
  const what = not ? `not in <${table}>: ${entry} is an exception` : `<${table}> ${entry}`;
  return [what, source && `by ${source}`, untilText(until), comment && `(${comment})`].filter(Boolean).join(' ');
}

function memoryText({ what, element, expiresMs, packets, bytes, quota, more }: MemoryConcern): string {
  return [
    element === undefined ? what : `${what}: ${element}`,
    more && `${more} more elements`,
    packets && `${packets} packets`,
    bytes && `${bytes} bytes`,
    quota && `${quota.usedBytes} of ${quota.limitBytes} bytes used`,
    expiresMs !== undefined && `for ${Math.round(expiresMs / 1000)} s more`,
  ]
    .filter(Boolean)
    .join(', ');
}

const untilText = (until: string | undefined): string => (until === undefined ? 'for ever' : `until ${until}`);

const block = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
