/** What is wrong with a policy, where, and what to do: as data, for people, and as JSON. */

import type { Position } from './ast.js';

export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly at: Position;
  /** What is wrong, with the offending text. */
  readonly message: string;
  /** What to write instead. */
  readonly hint?: string;
}
