/** What a policy changes, for people. */

import { counted, roughly } from './text.js';

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

export interface AppliedView {
  readonly plan: PlanView;
  readonly confirmBy?: string;
}

const marks = { add: '+', delete: '-', change: '~' } as const;

/** One line a change, `+`, `-` or `~` before it, and how many there are. */
export function planText(plan: PlanView): string {
  return `${changeLines(plan)}${plan.empty ? 'nothing to change' : counted(plan.changes.length, 'change')}\n`;
}

export function appliedText({ plan, confirmBy }: AppliedView): string {
  const done = plan.empty ? 'nothing to change' : `${counted(plan.changes.length, 'change')} applied`;
  const deadline =
    confirmBy === undefined
      ? ''
      : `goes back in ${roughly(Date.parse(confirmBy) - Date.now())} unless you run 'postern confirm'\n`;
  return `${changeLines(plan)}${done}\n${deadline}`;
}

function changeLines({ changes, warnings }: PlanView): string {
  const lines = changes.map(({ action, kind, name, text, origin }) => {
    const where = origin === undefined ? '' : `  (${origin.file}:${origin.line})`;
    return `${marks[action]} ${kind} ${name}${text === undefined ? '' : `: ${text}`}${where}`;
  });
  return [...warnings.map((warning) => `warning: ${warning}`), ...lines].map((line) => `${line}\n`).join('');
}
