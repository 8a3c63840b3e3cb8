import { resolve } from 'node:path';
import type { Daemon } from './client.js';
import { command } from './command.js';
import { defaultPolicy } from './defaults.js';
import { type PlanView, planText } from './plan-text.js';
import { eitherOptions, runningDaemon } from './running-daemon.js';

export const plan = command({
  summary: 'show what applying a policy would change',
  args: '[FILE]',
  about: `The policy is that of the daemon, or ${defaultPolicy}, if not given. It is compared with what is in force and
with what is in the kernel, and the kernel checks it. Nothing is changed.`,
  options: { json: { type: 'boolean', help: 'print as JSON' }, ...eitherOptions },
  async run(call) {
    const view = await planOf(await runningDaemon(call), call.args[0], call.values);
    await call.io.out(call.values.json === true ? `${JSON.stringify(view)}\n` : planText(view));
    return 0;
  },
});

interface Places {
  readonly netns?: string;
  readonly state?: string;
}

/** By the daemon when there is one. */
export async function planOf(daemon: Daemon | undefined, file: string | undefined, places: Places): Promise<PlanView> {
  if (daemon === undefined) {
    const { planDirectly } = await import('./direct.js');
    return planDirectly(file ?? defaultPolicy, places);
  }
  if (file === undefined) return daemon.ask('POST', '/v1/policy/plan');
  const { readPolicyFile } = await import('./policy-file.js');
  return daemon.ask('POST', '/v1/policy/plan', readPolicyFile(resolve(file)));
}
