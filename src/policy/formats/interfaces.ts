/** Network interfaces, by the policy's name for them or the kernel's. */

import { parseDevice } from '../../net/name.js';
import type { InterfaceTerm } from '../ast.js';
import type { Text } from '../node.js';
import { Misread, type Scope } from '../scope.js';
import { didYouMean } from '../suggest.js';
import type { Format } from '../types.js';

const deviceJson = { type: 'string', pattern: '^[^\\s/:]+$', maxLength: 31 };

/** What the kernel calls it. */
export const device: Format<string> = {
  name: 'device',
  label: 'DEVICE',
  description: 'A network device as the kernel calls it, such as eth0; ppp* is any that begins so.',
  json: deviceJson,
  parse: (text) => parseDevice(text.value),
};

export const interfaceName: Format<InterfaceTerm> = {
  name: 'interface',
  label: 'INTERFACE',
  description:
    'A name of `interfaces:`, or, in a policy that lists none, a device such as eth0; ppp* is any that begins so.',
  json: deviceJson,
  parse: interfaceTerm,
};

/**
 * Looks the name up among the aliases, then among the devices.
 * @throws Misread
 */
export function interfaceTerm(text: Text, scope: Scope): InterfaceTerm {
  const name = text.value;
  const alias = scope.interfaces.get(name);
  if (alias !== undefined) return { at: text.at, device: alias.device, alias: name };
  const listed = [...scope.interfaces.values()].some((term) => term.device === name);
  if (name === 'any') throw new Misread('"any" stands alone, not in a list and not behind "not"');
  const deviceName = parseDevice(name);
  if (!scope.interfacesListed || listed || name === 'lo' || name.endsWith('*'))
    return { at: text.at, device: deviceName };
  const hint = didYouMean(name, scope.interfaces.keys()) ?? `add it there: \`${name}: ${name}\``;
  throw new Misread(`"${name}" is not in "interfaces:"`, hint);
}
