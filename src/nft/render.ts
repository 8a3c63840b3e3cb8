/**
 * The ruleset as nft text: what is loaded, what `compile` prints and what the golden files hold.
 * Written for nft 1.0.6 and later. The same ruleset always gives the same text.
 */

import type { BaseChain, Chain, Origin, Rule, Ruleset, Table, TableFamily } from './model.js';
import { renderObject, renderSet } from './set.js';
import { renderStatement } from './statement.js';
import { identifier, quoted } from './text.js';

/** A line of nft text and the policy line that caused it. */
export interface Line {
  readonly text: string;
  readonly origin?: Origin;
}

/** The whole ruleset, with a line break at its end. @throws PosternError for what can't be written. */
export function renderRuleset(ruleset: Ruleset): string {
  const tables = ruleset.tables.map((table) => textOf(renderTable(table)));
  return tables.join('\n');
}

/** The text of lines, each ended. */
export const textOf = (lines: readonly Line[]): string => lines.map((line) => `${line.text}\n`).join('');

/** `table family name { … }`: objects, sets, chains, in the order of the model. */
export function renderTable(table: Table): Line[] {
  const objects = table.objects.flatMap((object) => attribute(renderObject(object), object.origin));
  const blocks = [
    ...(objects.length > 0 ? [objects] : []),
    ...table.sets.map((set) => attribute(renderSet(set), set.origin)),
    ...table.chains.map(renderChain),
  ];
  const body = blocks.flatMap((block, index) => (index === 0 ? block : [{ text: '' }, ...block]));
  return [{ text: `table ${tableName(table)} {` }, ...body.map(indent), { text: '}' }];
}

/** `inet postern`. */
export const tableName = (table: { readonly family: TableFamily; readonly name: string }): string =>
  `${table.family} ${identifier(table.name)}`;

const attribute = (texts: readonly string[], origin: Origin | undefined): Line[] =>
  texts.map((text) => ({ text, ...(origin && { origin }) }));

const indent = (line: Line): Line => (line.text === '' ? line : { ...line, text: `  ${line.text}` });

function renderChain(chain: Chain): Line[] {
  const head = [
    ...(chain.comment === undefined ? [] : [`comment ${quoted(chain.comment)}`]),
    ...(chain.base === undefined ? [] : [renderBase(chain.base)]),
  ];
  const body = [...attribute(head, undefined), ...chain.rules.map(renderRule)];
  return [{ text: `chain ${identifier(chain.name)} {` }, ...body.map(indent), { text: '}' }];
}

/** `type filter hook input priority 0; policy drop;`. */
function renderBase(base: BaseChain): string {
  const devices =
    base.devices === undefined ? '' : ` devices = { ${base.devices.map((name) => quoted(name)).join(', ')} }`;
  const policy = base.policy === undefined ? '' : ` policy ${base.policy};`;
  return `type ${base.type} hook ${base.hook}${devices} priority ${base.priority};${policy}`;
}

/** What makes a base chain another chain, so that it has to be created anew: `type hook priority devices`. */
export const describeBase = (base: BaseChain): string =>
  [base.type, base.hook, String(base.priority), ...[...(base.devices ?? [])].sort()].join(' ');

/** A rule in one line. */
export function renderRule(rule: Rule): Line {
  const statements = rule.statements.map(renderStatement);
  const comment = rule.comment === undefined ? [] : [`comment ${quoted(rule.comment, 128)}`];
  return { text: [...statements, ...comment].join(' '), ...(rule.origin && { origin: rule.origin }) };
}
