import { realpathSync } from 'node:fs';
import { PosternError } from '../errors.js';
import type { Daemon } from './client.js';
import { type Call, command } from './command.js';
import { defaultPolicy } from './defaults.js';
import { planOf } from './plan.js';
import { type AppliedView, appliedText, planText } from './plan-text.js';
import { askReload } from './reload.js';
import { eitherOptions, runningDaemon } from './running-daemon.js';

const options = {
  'dry-run': { type: 'boolean', short: 'n', help: 'show what would change, and change nothing' },
  confirm: {
    type: 'string',
    value: 'TIME',
    help: 'go back to what was in force unless it is confirmed within this time',
  },
  force: {
    type: 'string',
    multiple: true,
    value: 'FLOW',
    help: 'cut this flow, which passes now; its name is in the refusal',
  },
  json: { type: 'boolean', help: 'print as JSON' },
  ...eitherOptions,
} as const;

export const apply = command({
  summary: 'apply a policy',
  args: '[FILE]',
  about: `The policy is that of the daemon, or ${defaultPolicy}, if not given. It is checked first and then loaded in one
transaction: contents of tables, counters and quotas stay, and when anything fails everything is as it was.

When the daemon runs, it applies its own policy file. Otherwise the rules are loaded and left to the kernel: bans and
counters work, what needs the daemon (pftabled, repair of changes by others, the API) does not.

With --confirm the daemon goes back by itself unless 'postern confirm' comes in time; without a daemon this command waits
for Enter.`,
  options,
  examples: [
    { command: 'postern apply --confirm 60s', what: 'who locks himself out is let in again after a minute' },
    { command: 'postern apply rules/demo.yaml --netns fw', what: 'in a network namespace' },
  ],
  async run(call) {
    const daemon = await runningDaemon(call);
    if (call.values['dry-run'] === true) return dryRun(call, daemon);
    if (daemon !== undefined) await checkOwnFile(daemon, call.args[0]);
    const applied = daemon === undefined ? await direct(call) : await askReload(daemon, call.values, call.io);
    await call.io.out(call.values.json === true ? `${JSON.stringify(applied)}\n` : appliedText(applied));
    return 0;
  },
});

type ApplyCall = Call<typeof options>;

async function dryRun({ values, args, io }: ApplyCall, daemon: Daemon | undefined): Promise<number> {
  const view = await planOf(daemon, args[0], values);
  await io.out(values.json === true ? `${JSON.stringify(view)}\n` : planText(view));
  return 0;
}

/** The daemon would take its own file back at the next reload: another one must not come between. */
async function checkOwnFile(daemon: Daemon, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const { file: own } = await daemon.ask<{ file: string }>('GET', '/v1/policy');
  if (realpathSync(file) === realpathSync(own)) return;
  throw new PosternError('conflict', `the daemon runs ${own}: change that file, or stop the daemon, to apply ${file}`);
}

async function direct({ values, args, io }: ApplyCall): Promise<AppliedView> {
  const { applyDirectly } = await import('./direct.js');
  return applyDirectly(args[0] ?? defaultPolicy, values, io);
}
