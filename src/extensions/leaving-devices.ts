/** The devices that a rule's packets leave by, as far as the rule says. */

import type { InterfaceTerm } from '../policy/ast.js';
import type { Site } from './site.js';

/** Names of devices; undefined when the rule leaves it open or names them by a pattern. */
export function leavingDevices({ ast }: Site): readonly string[] | undefined {
  for (const match of ast.matches) {
    if (match.word !== 'out' || match.interfaces === 'any' || match.interfaces.any.length === 0) continue;
    const excluded = match.interfaces.not.map(({ device }: InterfaceTerm) => device);
    const named = match.interfaces.any.map(({ device }: InterfaceTerm) => device);
    if ([...named, ...excluded].some((device) => device.endsWith('*'))) return undefined;
    return [...new Set(named.filter((device) => !excluded.includes(device)))];
  }
  return undefined;
}
