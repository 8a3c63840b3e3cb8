/** `reload`, `confirm`, `rollback`: the daemon's policy from one version to the next. */

import { type Daemon, daemonOf, daemonOptions } from './client.js';
import { type Call, command, type Io } from './command.js';
import { type AppliedView, appliedText, type PlanView, planText } from './plan-text.js';

const options = { json: { type: 'boolean', help: 'print as JSON' }, ...daemonOptions } as const;

export const reload = command({
  summary: "apply the daemon's policy file as it is now",
  options: {
    'dry-run': { type: 'boolean', short: 'n', help: 'show what would change, and change nothing' },
    confirm: {
      type: 'string',
      value: 'TIME',
      help: "go back to the old policy unless 'postern confirm' comes within this time",
    },
    force: { type: 'string', multiple: true, value: 'FLOW', help: 'cut this flow, which passes now' },
    ...options,
  },
  async run(call) {
    const daemon = daemonOf(call);
    const { confirm, force, json } = call.values;
    if (call.values['dry-run'] === true) {
      const plan = await daemon.ask<PlanView>('POST', '/v1/policy/plan');
      await call.io.out(json === true ? `${JSON.stringify(plan)}\n` : planText(plan));
      return 0;
    }
    return print(call, await askReload(daemon, { confirm, force }, call.io));
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

export function askReload(
  daemon: Daemon,
  { confirm, force }: { readonly confirm?: string | undefined; readonly force?: readonly string[] | undefined },
  { env }: Pick<Io, 'env'>,
): Promise<AppliedView> {
  const operator = env.SSH_CONNECTION;
  const body = {
    ...(confirm !== undefined && { confirmWithin: confirm }),
    ...(force !== undefined && { force }),
    ...(operator !== undefined && { operator }),
  };
  return daemon.ask('POST', '/v1/policy/reload', body);
}

async function print({ values, io }: Call<typeof options>, applied: AppliedView): Promise<number> {
  await io.out(values.json === true ? `${JSON.stringify(applied)}\n` : appliedText(applied));
  return 0;
}
