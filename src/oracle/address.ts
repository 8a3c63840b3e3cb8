/** Everything that concerns an address: tables, what rules remember of it, and the rules that name it. */

import type { Manifest, ManifestSet, Plan } from '../compiler/plan.js';
import type { ElementState, Kernel } from '../kernel/kernel.js';
import { type Address, addressBytes } from '../net/address.js';
import { rangeContains } from '../net/prefix.js';
import type { AddressTerm, Choice, Policy, Rule } from '../policy/ast.js';
import { tableRanges } from './plan-contents.js';
import { type Place, placeText } from './policy-index.js';

/** An entry of a table that covers the address. */
export interface TableConcern {
  readonly table: string;
  /** As it is in the table: the address, or a prefix around it. */
  readonly entry?: string;
  /** Who added it. */
  readonly source?: string;
  /** ISO 8601; absent: permanent, or not known. */
  readonly until?: string;
  readonly comment?: string;
}

/** What a set remembers of the address. */
export interface MemoryConcern {
  readonly what: string;
  readonly expiresMs?: number;
  readonly packets?: string;
  readonly bytes?: string;
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
  readonly remembered: readonly MemoryConcern[];
  readonly rules: readonly RuleConcern[];
}

/** What the kernel's sets hold of the address; tables by `readTables` instead when somebody knows them better. */
export async function rememberedOf(kernel: Kernel, manifest: Manifest, address: Address): Promise<MemoryConcern[]> {
  const found: MemoryConcern[] = [];
  for (const [index, set] of manifest.sets.entries()) {
    const about = aboutSet(set);
    if (about === undefined || !isOf(set, address)) continue;
    const state = await kernel.get(index, { key: addressBytes(address) });
    if (state !== undefined) found.push({ what: about, ...figures(state) });
  }
  return found;
}

/** Tables that hold the address in the kernel. */
export async function tablesOf(
  kernel: Kernel,
  manifest: Manifest,
  address: Address,
  now: number,
): Promise<TableConcern[]> {
  const found: TableConcern[] = [];
  for (const [index, set] of manifest.sets.entries()) {
    if (set.role.kind !== 'table' || !isOf(set, address)) continue;
    const state = await kernel.get(index, { key: addressBytes(address) });
    if (state === undefined) continue;
    const { expiresMs, comment } = state;
    found.push({
      table: set.role.table,
      ...(expiresMs !== undefined && { until: new Date(now + expiresMs).toISOString() }),
      ...(comment !== undefined && { comment }),
    });
  }
  return found;
}

const isOf = ({ key }: ManifestSet, { family }: Address): boolean =>
  key.length === 1 && key[0] === (family === 4 ? 'ipv4_addr' : 'ipv6_addr');

function aboutSet({ role }: ManifestSet): string | undefined {
  switch (role.kind) {
    case 'account':
      return `account ${role.account}, as ${role.direction}`;
    case 'rule':
      return `${role.word} of rule ${role.rule}`;
    case 'extension':
      return `${role.extension} ${role.name}: ${role.purpose}`;
    default:
      return undefined;
  }
}

function figures({ expiresMs, packets, bytes }: ElementState): Omit<MemoryConcern, 'what'> {
  return {
    ...(expiresMs !== undefined && { expiresMs }),
    ...(packets !== undefined && { packets: String(packets) }),
    ...(bytes !== undefined && { bytes: String(bytes) }),
  };
}

/**
 * The rules whose `from` or `to` covers the address.
 * @param inTables names of the tables that hold it now, beside what the policy itself says
 */
export function rulesAbout(policy: Policy, plan: Plan, address: Address, inTables: ReadonlySet<string>): RuleConcern[] {
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

export function addressText({ address, tables, remembered, rules }: AddressAnswer): string {
  const blocks = [
    block(
      'Tables',
      tables.map(({ table, entry, source, until, comment }) =>
        [
          `<${table}>`,
          entry,
          source && `by ${source}`,
          until ? `until ${until}` : 'for ever',
          comment && `(${comment})`,
        ]
          .filter(Boolean)
          .join(' '),
      ),
    ),
    block(
      'Remembered',
      remembered.map(({ what, expiresMs, packets, bytes }) =>
        [
          what,
          packets && `${packets} packets`,
          bytes && `${bytes} bytes`,
          expiresMs !== undefined && `for ${Math.round(expiresMs / 1000)} s more`,
        ]
          .filter(Boolean)
          .join(', '),
      ),
    ),
    block(
      'Rules',
      rules.map(({ place, rule, as, because }) => `${placeText(place)} ${rule}   (${as}: ${because})`),
    ),
  ].filter((text) => text !== '');
  return `${address}\n\n${blocks.join('\n\n') || '  no table, no counter and no rule names it'}\n`;
}

const block = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
