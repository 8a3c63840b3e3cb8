/** Names: those that a section declares, and references to them. */

import { type NameKind, parseName } from '../../net/name.js';
import { declared, Misread, type Scope } from '../scope.js';
import type { Format } from '../types.js';

const nameJson = { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_.-]*$' };

/** A name that is declared here. */
export function newName(kind: NameKind): Format<string> {
  return {
    name: `${kind}-name`,
    label: 'NAME',
    description: `The name of a ${kind}: letters, digits, "_", "." and "-"; a letter or "_" first.`,
    json: nameJson,
    parse: (text) => parseName(kind, text.value),
  };
}

/** `<name>`: a table, as in pf. */
export const tableReference: Format<string> = {
  name: 'table-reference',
  label: '<TABLE>',
  description: 'A table in angle brackets: <bruteforce>.',
  json: { type: 'string', pattern: '^<[^<>]+>$' },
  parse: (text, scope) => {
    if (/^<[^<>]+>$/.test(text.value))
      return declared(scope, 'tables', text.slice(1, text.value.length - 1), inBrackets);
    const known = scope.names.get('tables')?.has(text.value);
    throw new Misread(`"${text.value}" is not a table`, `write <${known ? text.value : 'name'}>`);
  },
};

/** A table where nothing but a table can stand: with or without brackets. */
export const tableName: Format<string> = {
  name: 'table',
  label: 'TABLE',
  description: 'The name of a table.',
  json: { type: 'string', pattern: '^<?[A-Za-z_][A-Za-z0-9_.-]*>?$' },
  parse: (text, scope) =>
    text.value.startsWith('<') ? tableReference.parse(text, scope) : declared(scope, 'tables', text),
};

/** Chains that packets come to by themselves. */
export const baseChains = ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting', 'filter'] as const;

export function isBaseChain(name: string): name is (typeof baseChains)[number] {
  return (baseChains as readonly string[]).includes(name);
}

/** A chain of the user's own. */
export const chainReference: Format<string> = {
  name: 'chain',
  label: 'CHAIN',
  description: 'A chain of your own, declared under `chains:`.',
  json: nameJson,
  parse: (text, scope) => {
    if (isBaseChain(text.value)) {
      throw new Misread(`"${text.value}" is where packets come in`, 'only chains of your own can be jumped to');
    }
    return declared(scope, 'chains', text);
  },
};

/** An entry of a section: `Value(entryOf('accounts'))`, `Value(entryOf('quotas'))`. */
export function entryOf(section: string): Format<string> {
  return {
    name: `entry-of-${section}`,
    label: 'NAME',
    description: `A name declared under \`${section}:\`.`,
    json: nameJson,
    parse: (text, scope: Scope) => declared(scope, section, text),
  };
}

/** `<name>`, as a suggestion for a table. */
export function inBrackets(name: string): string {
  return `<${name}>`;
}
