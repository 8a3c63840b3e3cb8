/** Switches that rules look at. */

import type { Source } from './tables.js';

export interface ConditionState {
  readonly name: string;
  readonly on: boolean;
}

/** All methods throw PosternError: `not-found` (no such condition), `kernel`. What was acknowledged is in kernel and store. */
export interface Conditions {
  names(): readonly string[];
  /** As the kernel has them. */
  list(): Promise<ConditionState[]>;
  /** Sets all of them, in one transaction: no packet sees one without the others. Answers those that it changed. */
  set(states: ReadonlyMap<string, boolean>, source: Source): Promise<readonly string[]>;
}

export interface ConditionEvent {
  readonly condition: string;
  readonly on: boolean;
  readonly source: Source;
}
