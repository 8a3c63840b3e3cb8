/** `reload`, `confirm`, `rollback`: the daemon's policy from one version to the next. */

import { daemonOf, daemonOptions } from './client.js';
import { type Call, command } from './command.js';
import { type PlanView, planText } from './plan-text.js';
import { roughly } from './text.js';

const options = { json: { type: 'boolean', help: 'print as JSON' }, ...daemonOptions } as const;

interface Applied {
  readonly plan: PlanView;
  readonly confirmBy?: string;
}

export const reload = command({
  summary: "apply the daemon's policy file as it is now",
  options: {
    'dry-run': { type: 'boolean', short: 'n', help: 'show what would change, and change nothing' },
    confirm: {
      type: 'string',
      value: 'TIME',
      help: "go back to the old policy unless 'postern confirm' comes within this time",
    },
    ...options,
  },
  async run(call) {
    const daemon = daemonOf(call);
    if (call.values['dry-run'] === true) {
      const plan = await daemon.ask<PlanView>('POST', '/v1/policy/plan');
      await call.io.out(call.values.json === true ? `${JSON.stringify(plan)}\n` : planText(plan, 'would'));
      return 0;
    }
    const { confirm } = call.values;
    return print(
      call,
      await daemon.ask('POST', '/v1/policy/reload', confirm === undefined ? {} : { confirmWithin: confirm }),
    );
  },
});

export const confirm = command({
  summary: 'keep the policy that waits to be confirmed',
  options,
  async run(call) {
    await daemonOf(call).ask('POST', '/v1/policy/confirm');
    await call.io.out(call.values.json === true ? '{}\n' : 'confirmed\n');
    return 0;
  },
});

export const rollback = command({
  summary: 'go back to the policy before the one that waits to be confirmed',
  options,
  run: async (call) => print(call, await daemonOf(call).ask('POST', '/v1/policy/rollback')),
});

async function print({ values, io }: Call<typeof options>, applied: Applied): Promise<number> {
  if (values.json === true) await io.out(`${JSON.stringify(applied)}\n`);
  else await io.out(`${planText(applied.plan, 'did')}${confirmText(applied.confirmBy)}`);
  return 0;
}

function confirmText(confirmBy: string | undefined): string {
  if (confirmBy === undefined) return '';
  return `goes back in ${roughly(Date.parse(confirmBy) - Date.now())} unless you run 'postern confirm'\n`;
}
