/** Ports, protocols, and the owners of sockets. */

import { type PortProtocol, type PortRange, parsePortRange, serviceNames } from '../../net/port.js';
import { parseProtocol, protocolNames } from '../../net/protocol.js';
import type { NumberRange } from '../ast.js';
import type { Text } from '../node.js';
import { Misread, type Scope } from '../scope.js';
import { didYouMean } from '../suggest.js';
import type { Format } from '../types.js';

/** Ports by number, name or range. A name may mean different ports in tcp and udp. */
export function ports(protocol: PortProtocol): Format<PortRange> {
  return {
    name: 'ports',
    label: 'PORT',
    description: 'A port by number or name of its service, or a range: 22, ssh, 1025-65535.',
    json: {
      anyOf: [
        { type: 'integer', minimum: 0, maximum: 65_535 },
        { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9+._-]*$' },
      ],
    },
    parse: (text) => readPorts(text, protocol),
  };
}

function readPorts({ value }: Text, protocol: PortProtocol): PortRange {
  if (value === 'any') throw new Misread('"any" stands alone, not in a list and not behind "not"');
  if (/^[<>]/.test(value)) throw new Misread(`"${value}" is not a port`, 'write a range, as in 1025-65535');
  if (/^[0-9]+(:|\.\.)[0-9]+$/.test(value)) {
    throw new Misread(`"${value}" is not a range of ports`, `write ${value.replace(/:|\.\./, '-')}`);
  }
  return orMeant(() => parsePortRange(value, protocol), value, serviceNames, 'no port or service that is known');
}

/** What `parse` reads; for a misspelt name the nearest one is told. */
function orMeant<T>(parse: () => T, name: string, names: readonly string[], problem: string): T {
  try {
    return parse();
  } catch (error) {
    const meant = /^[a-z]/i.test(name) ? didYouMean(name, names) : undefined;
    throw meant === undefined ? error : new Misread(`"${name}" is ${problem}`, meant);
  }
}

export const protocol: Format<number> = {
  name: 'protocol',
  label: 'PROTOCOL',
  description: 'What IP carries, by name or number: tcp, udp, gre, 47.',
  json: {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: 255 },
      { type: 'string', pattern: '^[a-z0-9-]+$' },
    ],
  },
  parse: ({ value }) => orMeant(() => parseProtocol(value), value, protocolNames, 'not a protocol'),
};

/** The highest number of a user or group that the kernel takes (the next means none). */
const highestOwner = 0xffff_fffe;

/** The owner of a local socket. */
export function owner(kind: 'user' | 'group'): Format<NumberRange> {
  return {
    name: kind,
    label: kind.toUpperCase(),
    description: `A ${kind} by name or number, or a range of numbers: root, 1000-1999.`,
    json: {
      anyOf: [
        { type: 'integer', minimum: 0, maximum: highestOwner },
        { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$' },
      ],
    },
    parse: (text, scope) => readOwner(kind, text, scope),
  };
}

function readOwner(kind: 'user' | 'group', { value }: Text, scope: Scope): NumberRange {
  const [, first, last = first] = /^([0-9]+)(?:-([0-9]+))?$/.exec(value) ?? [];
  if (first !== undefined) {
    const range = { first: Number(first), last: Number(last) };
    if (range.last < range.first) throw new Misread(`"${value}" ends before it begins`, 'swap the two numbers');
    if (range.last > highestOwner) throw new Misread(`"${value}" is no number of a ${kind}`);
    return range;
  }
  const id = /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(value) ? scope.resolveOwner?.(kind, value) : undefined;
  if (id === undefined) throw new Misread(`there is no ${kind} "${value}" here`, 'write its number');
  return { first: id, last: id };
}
