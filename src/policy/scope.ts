/** What the names of a policy stand for while its values are read. */

import type { InterfaceTerm, Position } from './ast.js';
import type { Text } from './node.js';
import { didYouMean } from './suggest.js';

export interface Scope {
  /** By alias. */
  readonly interfaces: ReadonlyMap<string, InterfaceTerm>;
  /** Does the policy list its interfaces, so that others are misspelt? */
  readonly interfacesListed: boolean;
  /** Names by the section that declares them: `tables`, `accounts`, `chains` (those of the user), and those of extensions. */
  readonly names: ReadonlyMap<string, ReadonlySet<string>>;
  readonly resolveOwner?: ((kind: 'user' | 'group', name: string) => number | undefined) | undefined;
  warn(at: Position, message: string, hint?: string): void;
}

/** A value that can't be read: thrown by formats, reported by the reader at `at`, or at the value itself. */
export class Misread extends Error {
  constructor(
    message: string,
    readonly hint?: string,
    readonly at?: Position,
  ) {
    super(message);
  }
}

/**
 * The name, if the section declares it.
 * @param show how a reference to that section is written, for the suggestion.
 * @throws Misread
 */
export function declared(scope: Scope, section: string, name: Text, show?: (name: string) => string): string {
  const names = scope.names.get(section) ?? new Set<string>();
  if (names.has(name.value)) return name.value;
  const hint = didYouMean(name.value, names, show) ?? `declare it there, or choose one that is`;
  throw new Misread(`"${name.value}" is not in "${section}:"`, hint, name.at);
}
