/** Sets, maps, their elements and named objects as nft text. */

import { renderExpression, type Style, styleOfType } from './expression.js';
import type { Element, Expression, NamedObject, NftSet, SetType, Verdict } from './model.js';
import { renderQuotaSpec, renderRate, renderVerdict } from './statement.js';
import { count, duration, identifier, quotable, quoted, word } from './text.js';

/** The lines of a set or map in a table block, contents included. */
export function renderSet(set: NftSet): string[] {
  const kind = set.data === undefined ? 'set' : 'map';
  const contents = set.elements ?? set.initial ?? [];
  const elements = contents.length === 0 ? [] : renderElements(set, contents);
  return [`${kind} ${identifier(set.name)} {`, ...definition(set).map(indent), ...elements.map(indent), '}'];
}

const indent = (line: string): string => `  ${line}`;

function definition(set: NftSet): string[] {
  return [
    renderType(set),
    set.flags.length > 0 && `flags ${set.flags.join(',')}`,
    set.counter && 'counter',
    set.timeoutMs !== undefined && `timeout ${duration(set.timeoutMs)}`,
    set.gcIntervalMs !== undefined && `gc-interval ${duration(set.gcIntervalMs)}`,
    set.size !== undefined && `size ${count(set.size)}`,
    set.comment !== undefined && `comment ${quoted(set.comment)}`,
  ].filter((line) => typeof line === 'string');
}

function renderType({ key, data }: NftSet): string {
  const word = 'typeof' in key ? 'typeof' : 'type';
  return `${word} ${typeNames(key)}${data === undefined ? '' : ` : ${typeNames(data)}`}`;
}

const typeNames = (type: SetType): string =>
  ('typeof' in type ? type.typeof.map((part) => renderExpression(part)) : type.type.map(word)).join(' . ');

/** `elements = { … }`, as many to a line as fit. */
function renderElements(set: NftSet, elements: readonly Element[]): string[] {
  return ['elements = {', ...wrap(elementTexts(set, elements)).map(indent), '}'];
}

/** Members of a set's element list, each without a comma. */
export function elementTexts(set: Pick<NftSet, 'key' | 'data'>, elements: readonly Element[]): string[] {
  const keyStyle = styleOfType(set.key);
  const dataStyle = set.data && dataStyleOf(set.data);
  return elements.map((element) => renderElement(element, keyStyle, dataStyle));
}

const objectTypes = new Set(['counter', 'quota', 'limit', 'ct helper', 'ct timeout']);

/** An object's name stands in quotes. */
const dataStyleOf = (data: SetType): Style =>
  'type' in data && objectTypes.has(data.type[0] ?? '') ? ['quoted'] : styleOfType(data);

function renderElement(element: Element, keyStyle: Style, dataStyle: Style | undefined): string {
  const { counter, timeoutMs, expiresMs, comment, data } = element;
  const parts = [
    renderExpression(element.value, keyStyle),
    counter && `counter packets ${count(counter.packets)} bytes ${count(counter.bytes)}`,
    timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`,
    expiresMs !== undefined && `expires ${duration(expiresMs)}`,
    // Whoever bans an address may comment it; that must not keep a ruleset from loading.
    comment !== undefined && `comment ${quotable(comment)}`,
    data !== undefined && `: ${isVerdict(data) ? renderVerdict(data) : renderExpression(data, dataStyle)}`,
  ];
  return parts.filter((part) => typeof part === 'string').join(' ');
}

const verdicts = ['accept', 'drop', 'continue', 'return', 'jump', 'goto'];
const isVerdict = (data: Expression | Verdict): data is Verdict =>
  typeof data === 'object' && verdicts.some((verdict) => verdict in data);

const lineWidth = 100;

/** Joins texts with commas to lines of about `lineWidth`; every line but the last ends in a comma. */
export function wrap(texts: readonly string[]): string[] {
  const lines: string[] = [];
  let line = '';
  for (const text of texts) {
    if (line !== '' && line.length + text.length + 2 > lineWidth) {
      lines.push(`${line},`);
      line = '';
    }
    line += line === '' ? text : `, ${text}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** The lines of a named object in a table block. */
export function renderObject(object: NamedObject): string[] {
  const body = objectBody(object);
  if (object.comment !== undefined) body.push(`comment ${quoted(object.comment)}`);
  const head = `${object.kind} ${identifier(object.name)} {`;
  return body.length === 0 ? [`${head} }`] : [head, ...body.map(indent), '}'];
}

function objectBody(object: NamedObject): string[] {
  switch (object.kind) {
    case 'counter':
      return [];
    case 'quota':
      return [renderQuotaSpec(object)];
    case 'limit':
      return [renderRate(object)];
    case 'ct helper':
      return [`type ${quoted(object.type)} protocol ${object.protocol};`, ...l3proto(object.l3proto)];
    case 'ct timeout': {
      const policy = Object.entries(object.policy).map(([state, seconds]) => `${word(state)} : ${count(seconds)}`);
      return [`protocol ${object.protocol};`, ...l3proto(object.l3proto), `policy = { ${policy.join(', ')} }`];
    }
  }
}

const l3proto = (name: string | undefined): string[] => (name === undefined ? [] : [`l3proto ${word(name)}`]);
