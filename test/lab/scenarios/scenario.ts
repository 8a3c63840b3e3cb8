import type { Report } from '../../demo/report.js';
import type { Lab } from '../lab.js';

export interface Stage {
  readonly lab: Lab;
  readonly report: Report;
}

export interface Scenario {
  /** For the command line, and the heading in docker/README.md. */
  readonly name: string;
  readonly title: string;
  /** Plays it, and leaves tables as they were. @throws Error when it can't go on. */
  play(stage: Stage): Promise<void>;
}

/** A figure that has to stay within a bound, as a row of the report compares it. */
export function within(value: number, most: number, unit: string): [expected: string, seen: string] {
  const expected = `within ${most} ${unit}`;
  return [expected, value <= most ? expected : `${Math.round(value)} ${unit}`];
}
