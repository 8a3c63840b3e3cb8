/** What a policy changes, for people. */

import { counted } from './text.js';

export interface PlanView {
  readonly empty: boolean;
  readonly changes: readonly {
    readonly action: 'add' | 'delete' | 'change';
    readonly kind: string;
    readonly name: string;
    readonly text?: string;
    readonly origin?: { readonly file: string; readonly line: number };
  }[];
  readonly warnings: readonly string[];
}

const marks = { add: '+', delete: '-', change: '~' } as const;

/** One line a change, `+`, `-` or `~` before it, and how many there are. */
export function planText({ empty, changes, warnings }: PlanView, mood: 'would' | 'did'): string {
  const lines = changes.map(({ action, kind, name, text, origin }) => {
    const where = origin === undefined ? '' : `  (${origin.file}:${origin.line})`;
    return `${marks[action]} ${kind} ${name}${text === undefined ? '' : `: ${text}`}${where}`;
  });
  const end = mood === 'did' ? `${counted(changes.length, 'change')} applied` : counted(changes.length, 'change');
  return [...warnings.map((warning) => `warning: ${warning}`), ...lines, empty ? 'nothing to change' : end, ''].join(
    '\n',
  );
}
