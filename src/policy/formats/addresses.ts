/** Addresses as they stand in rules, tables and sections. */

import { type Address, type AddressRange, parseAddress } from '../../net/address.js';
import { parsePort } from '../../net/port.js';
import { formatPrefix, parsePrefixMasked, parseRange, prefixRange } from '../../net/prefix.js';
import type { AddressTerm, TableEntry } from '../ast.js';
import type { Text } from '../node.js';
import { declared, Misread, type Scope } from '../scope.js';
import { didYouMean } from '../suggest.js';
import type { Format, JsonSchema } from '../types.js';
import { interfaceTerm } from './interfaces.js';
import { inBrackets } from './names.js';

const addressPattern = '[0-9a-fA-F:.]+';
const networkPattern = `${addressPattern}(/[0-9.]+|-${addressPattern})?`;

/** A host, a prefix, or a range; bits beyond a prefix's length are cleared with a warning, as nft and pf clear them. */
export const network: Format<AddressRange> = {
  name: 'network',
  label: 'ADDRESS',
  description: 'An address, a prefix or a range: 192.0.2.1, 2001:db8::/64, 192.0.2.10-192.0.2.20.',
  json: { type: 'string', pattern: `^${networkPattern}$` },
  parse: networkRange,
};

function networkRange(text: Text, scope: Scope): AddressRange {
  if (text.value.includes('-')) return parseRange(text.value);
  const { prefix, masked } = parsePrefixMasked(text.value);
  if (masked) {
    scope.warn(text.at, `"${text.value}" has bits set beyond its length`, `it is read as ${formatPrefix(prefix)}`);
  }
  return prefixRange(prefix);
}

const partOfInterface = /^([^\s:/<>]+):(network|address|[a-z]+)$/;

export const addressTerm: Format<AddressTerm> = {
  name: 'address',
  label: 'ADDRESS',
  description:
    'An address, a prefix, a range, a table in brackets (<office>), the network or address of an interface (lan:network, wan:address), or me.',
  json: { type: 'string', pattern: `^(me|<[^<>]+>|[^\\s:/<>]+:(network|address)|${networkPattern})$` },
  parse: readAddressTerm,
};

function readAddressTerm(text: Text, scope: Scope): AddressTerm {
  const { value, at } = text;
  if (value === 'me') return { kind: 'me', at };
  if (value === 'any') throw new Misread('"any" stands alone, not in a list and not behind "not"');
  if (/^<[^<>]*>$/.test(value)) {
    return { kind: 'table', at, table: declared(scope, 'tables', text.slice(1, value.length - 1), inBrackets) };
  }
  const [, name, part] = partOfInterface.exec(value) ?? [];
  if (name !== undefined && part !== undefined && !/^[0-9a-f:]+$/i.test(value)) {
    return partTerm(text, text.slice(0, name.length), part, scope);
  }
  const hint = meantName(value, scope);
  if (hint !== undefined) throw new Misread(`"${value}" is not an address`, hint);
  return { kind: 'range', at, range: networkRange(text, scope) };
}

function partTerm(text: Text, name: Text, part: string, scope: Scope): AddressTerm {
  if (part !== 'network' && part !== 'address') {
    throw new Misread(`"${text.value}" is not an address`, `write ${name.value}:network or ${name.value}:address`);
  }
  const { device } = interfaceTerm(name, scope);
  if (device.endsWith('*')) {
    throw new Misread(`"${text.value}": "${device}" stands for many interfaces`, 'name one of them');
  }
  return { kind: 'interface', at: text.at, interface: name.value, device, part };
}

/** What a bare word was meant to be. */
function meantName(word: string, scope: Scope): string | undefined {
  if (scope.names.get('tables')?.has(word)) return `a table is written <${word}>`;
  if (scope.interfaces.has(word)) return `write ${word}:network or ${word}:address`;
  return /^[a-z][\w-]*$/i.test(word) ? didYouMean(word, scope.names.get('tables') ?? [], inBrackets) : undefined;
}

/** An entry of a table; `not` excludes from wider entries. */
export const tableEntry: Format<TableEntry> = {
  name: 'table-entry',
  label: 'ENTRY',
  description: 'An address, a prefix or a range; with "not" before it an exception from wider entries.',
  json: { type: 'string', pattern: `^(not )?${networkPattern}$` },
  parse: (text, scope) => {
    const excluded = text.negated();
    return { at: text.at, range: networkRange(excluded ?? text, scope), not: excluded !== undefined };
  },
};

export interface NatTarget {
  readonly to?: AddressRange;
  readonly table?: string;
}

/** Where translated packets go. */
export const natTarget: Format<NatTarget> = {
  name: 'nat-target',
  label: 'ADDRESS',
  description: 'An address, a prefix or range to choose from, or a table of servers in brackets (<web>).',
  json: { type: 'string', pattern: `^(<[^<>]+>|${networkPattern})$` },
  parse: (text, scope) => {
    const { value } = text;
    if (value.startsWith('<')) {
      return { table: declared(scope, 'tables', text.slice(1, value.length - 1), inBrackets) };
    }
    const glued = /^(.*[0-9.\]]):([0-9-]+)$/.exec(value);
    if (glued !== null && (value.includes('.') || value.startsWith('['))) {
      const [, host, port] = glued;
      throw new Misread(`"${value}" joins address and port`, `write ${host?.replace(/[[\]]/g, '')} port ${port}`);
    }
    return { to: networkRange(text, scope) };
  },
};

export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** Every address of both families: a socket bound to it takes IPv4, too. */
const everyAddress: Address = { family: 6, value: 0n };

const endpointJson: JsonSchema = {
  anyOf: [
    { type: 'integer', minimum: 1, maximum: 65_535 },
    { type: 'string', pattern: '^(\\S+:)?[0-9]+$|^\\S+ port [0-9]+$' },
  ],
};

/** Where a server listens. */
export const endpoint: Format<Endpoint> = {
  name: 'endpoint',
  label: 'ADDRESS:PORT',
  description:
    'Where to listen: 192.0.2.1:8080, "2001:db8::1 port 8080", or a port alone for all addresses of both families.',
  json: endpointJson,
  parse: (text) => readEndpoint(text),
};

/**
 * Reads `ADDRESS:PORT`, `[ADDRESS]:PORT`, `ADDRESS port PORT`, or `PORT`.
 * @throws Misread, or PosternError `invalid`
 */
export function readEndpoint({ value }: Text): Endpoint {
  const found =
    /^\[([^\]]+)\]:([0-9]+)$/.exec(value) ??
    /^(\S+) port ([0-9]+)$/.exec(value) ??
    /^([^:]+):([0-9]+)$/.exec(value) ??
    /^()([0-9]+)$/.exec(value);
  const [, host, number] = found ?? [];
  if (host === undefined || number === undefined) {
    throw new Misread(
      `"${value}" is not where one can listen`,
      'write 192.0.2.1:8080, "2001:db8::1 port 8080", or 8080',
    );
  }
  const port = parsePort(number);
  if (port === 0) throw new Misread(`"${value}" has port 0`, 'clients need a port that they know');
  return { address: host === '' ? everyAddress : parseAddress(host), port };
}
