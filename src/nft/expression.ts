/** Expressions as nft text. How a value is written depends on what it is compared with or put into: its style. */

import { PosternError } from '../errors.js';
import type { Expression, SetType } from './model.js';
import { count, quoted, reference, word } from './text.js';

/** `quoted`: device and helper names; `hex`: marks and bits. A concatenation has one style a part. */
type PartStyle = 'plain' | 'quoted' | 'hex';
export type Style = readonly PartStyle[];

const plain: Style = ['plain'];
const hex: Style = ['hex'];
const string: Style = ['quoted'];

const quotedMeta = new Set(
  'iif oif iifname oifname iifkind oifkind ibrname obrname sdif sdifname day hour time'.split(' '),
);
const quotedTypes = new Set(['ifname', 'iface_index', 'ifkind', 'string']);
/** Keys that nft also takes without `meta`; the listing has them so. */
const bareMeta = new Set('iif oif iifname oifname iiftype oiftype'.split(' '));

/** How values are written that are compared with, or put into, `expression`. */
export function styleOf(expression: Expression): Style {
  if (typeof expression !== 'object') return plain;
  if ('concat' in expression) return expression.concat.flatMap(styleOf);
  if ('meta' in expression) {
    if (quotedMeta.has(expression.meta.key)) return string;
    return expression.meta.key === 'mark' ? hex : plain;
  }
  if ('ct' in expression) {
    if (expression.ct.key === 'helper') return string;
    return expression.ct.key === 'mark' ? hex : plain;
  }
  if ('fib' in expression) return expression.fib.result === 'oifname' ? string : plain;
  if ('payload' in expression) return 'base' in expression.payload ? hex : plain;
  return isBitwise(expression) ? hex : plain;
}

/** How a set's keys, or a map's data, are written. */
export function styleOfType(type: SetType): Style {
  if ('typeof' in type) return type.typeof.flatMap(styleOf);
  return type.type.map((name) => (quotedTypes.has(name) ? 'quoted' : name === 'mark' ? 'hex' : 'plain'));
}

type Operator = '&' | '|' | '^' | '<<' | '>>';
type Bitwise = Extract<Expression, Partial<Record<Operator, unknown>>>;
const binding: Readonly<Record<Operator, number>> = { '|': 1, '^': 2, '&': 3, '<<': 4, '>>': 4 };

function operatorOf(expression: Expression): Operator | undefined {
  if (typeof expression !== 'object') return undefined;
  return (Object.keys(binding) as Operator[]).find((operator) => operator in expression);
}

export const isBitwise = (expression: Expression): expression is Bitwise => operatorOf(expression) !== undefined;

/**
 * The text of an expression.
 * @param style of literals in it, from what they are compared with; see `styleOf`.
 * @throws PosternError `internal` for what can't be written.
 */
export function renderExpression(expression: Expression, style: Style = plain): string {
  if (typeof expression === 'string') return renderString(expression, style);
  if (typeof expression === 'number') return renderNumber(expression, style);
  if (typeof expression === 'boolean') return expression ? 'exists' : 'missing';
  if ('set' in expression) return braces(expression.set.map((member) => renderExpression(member, style)));
  if ('range' in expression) return expression.range.map((end) => renderExpression(end, style)).join('-');
  if ('prefix' in expression) return `${renderExpression(expression.prefix.addr, style)}/${expression.prefix.len}`;
  if ('concat' in expression) return renderConcat(expression.concat, style);
  if ('map' in expression) return renderLookup(expression.map, style);
  if ('numgen' in expression) {
    const { mode, mod, offset } = expression.numgen;
    return `numgen ${mode} mod ${count(mod)}${renderOffset(offset)}`;
  }
  if ('jhash' in expression) {
    const { expr, mod, seed, offset } = expression.jhash;
    const seeded = seed === undefined ? '' : ` seed 0x${seed.toString(16)}`;
    return `jhash ${renderExpression(expr)} mod ${count(mod)}${seeded}${renderOffset(offset)}`;
  }
  return isBitwise(expression) ? renderBitwise(expression) : renderSelector(expression);
}

const renderOffset = (offset: number | undefined): string => (offset === undefined ? '' : ` offset ${count(offset)}`);

/** Text in braces; never empty, which nft would refuse. */
export function braces(members: readonly string[]): string {
  if (members.length === 0) throw new PosternError('internal', 'nft: a set without members');
  return `{ ${members.join(', ')} }`;
}

function renderString(text: string, style: Style): string {
  if (text.startsWith('@')) return reference(text);
  return style[0] === 'quoted' ? quoted(text) : word(text);
}

function renderNumber(value: number, style: Style): string {
  if (!Number.isSafeInteger(value)) throw new PosternError('internal', `nft: ${value} is no integer`);
  return style[0] === 'hex' && value >= 0 ? `0x${value.toString(16)}` : String(value);
}

function renderConcat(parts: readonly Expression[], style: Style): string {
  return parts.map((part, index) => renderExpression(part, [style[index] ?? 'plain'])).join(' . ');
}

function renderLookup(map: Extract<Expression, { map: unknown }>['map'], dataStyle: Style): string {
  const key = renderExpression(map.key);
  if ('data' in map) return `${key} map ${reference(map.data)}`;
  const keyStyle = styleOf(map.key);
  const entries = map.entries.map(
    ([from, to]) => `${renderExpression(from, keyStyle)} : ${renderExpression(to, dataStyle)}`,
  );
  return `${key} map ${braces(entries)}`;
}

function renderBitwise(expression: Bitwise): string {
  const operator = operatorOf(expression)!;
  const isShift = binding[operator] === binding['<<'];
  const operands = Object.values(expression)[0] as readonly Expression[];
  const texts = operands.map((operand, index) => {
    const text = renderExpression(operand, isShift && index > 0 ? plain : hex);
    const inner = operatorOf(operand);
    if (inner === undefined) return text;
    // Not all of these are needed; a shift without them is hard to read.
    const parentheses = index > 0 || binding[inner] === binding['<<'] || binding[inner] < binding[operator];
    return parentheses ? `(${text})` : text;
  });
  return texts.join(` ${operator} `);
}

type Selector = Exclude<
  Expression,
  | string
  | number
  | boolean
  | Bitwise
  | { readonly set: unknown }
  | { readonly range: unknown }
  | { readonly prefix: unknown }
  | { readonly concat: unknown }
  | { readonly map: unknown }
  | { readonly numgen: unknown }
  | { readonly jhash: unknown }
>;

/** What reads from the packet, its connection or its socket. */
function renderSelector(expression: Selector): string {
  if ('payload' in expression) {
    const { payload } = expression;
    if ('base' in payload) return `@${payload.base},${count(payload.offset)},${count(payload.len)}`;
    return `${word(payload.protocol)} ${word(payload.field)}`;
  }
  if ('meta' in expression) return `${bareMeta.has(expression.meta.key) ? '' : 'meta '}${word(expression.meta.key)}`;
  if ('ct' in expression) return words('ct', expression.ct.dir, expression.ct.family, expression.ct.key);
  if ('fib' in expression) return `fib ${expression.fib.flags.map(word).join(' . ')} ${expression.fib.result}`;
  if ('rt' in expression) return words('rt', expression.rt.family, expression.rt.key);
  if ('socket' in expression) return words('socket', expression.socket.key);
  if ('exthdr' in expression) {
    const { name, field } = expression.exthdr;
    return field === undefined ? words('exthdr', name) : words(name, field);
  }
  if ('ip option' in expression) return words('ip option', expression['ip option'].name, expression['ip option'].field);
  return words('tcp option', expression['tcp option'].name, expression['tcp option'].field);
}

const words = (...parts: readonly (string | undefined)[]): string =>
  parts
    .filter((part) => part !== undefined)
    .flatMap((part) => part.split(' '))
    .map(word)
    .join(' ');
