/** The proof before an apply, on a copy of this host. */

import type { Plan } from '../compiler/plan.js';
import type { CompiledPolicy } from '../engine/policy-control.js';
import { asPosternError, PosternError } from '../errors.js';
import { type LiveHost, readLiveFlows, readLiveHost } from '../kernel/live-host.js';
import { readLiveSockets } from '../kernel/live-sockets.js';
import { openKernel } from '../kernel/open.js';
import { openScratch } from '../kernel/scratch.js';
import { liveElements } from '../oracle/live-sets.js';
import { livingFlows } from '../oracle/living.js';
import { planContents } from '../oracle/plan-contents.js';
import { PolicyIndex } from '../oracle/policy-index.js';
import { type LivingFlow, proveSurvival, type Survival } from '../oracle/survival.js';
import { Trial, type TrialLoad } from '../oracle/trial.js';
import type { Packet } from '../wire/packet.js';

export interface ProofOptions {
  /** Told of what could not be proved. */
  notify(notice: string): void;
  readonly sshConnection?: string | undefined;
}

/**
 * Refuses a policy that would cut flows that pass now. Where packets can't be tried, that is said, and the apply goes on.
 * @param force names of flows that may be cut
 * @throws PosternError `conflict`
 */
export async function prove(
  next: CompiledPolicy,
  from: CompiledPolicy | undefined,
  force: readonly string[],
  { notify, sshConnection }: ProofOptions,
): Promise<void> {
  const host = readLiveHost();
  const living = { sockets: readLiveSockets(), entries: readLiveFlows(), policy: next.policy };
  const { flows, untold } = livingFlows({ ...living, ...(sshConnection !== undefined && { sshConnection }) });
  if (flows.length === 0) return;
  let survival: Survival;
  try {
    survival = await tried(next, from, host, flows);
  } catch (error) {
    const { code, message } = asPosternError(error);
    if (!unable.has(code)) throw error;
    return notify(`whether connections survive could not be tried: ${message}`);
  }
  if (untold > 0) notify(`${untold} more connections were not tried`);
  for (const one of survival.untried) notify(`not tried: ${one}`);
  refuseCuts(survival, force);
}

const unable: ReadonlySet<string> = new Set(['forbidden', 'unsupported', 'system']);

/** @throws PosternError `conflict` unless every cut flow was named. */
export function refuseCuts({ cut }: Survival, force: readonly string[]): void {
  const refused = cut.filter(({ flow }) => !force.includes(flow));
  if (refused.length === 0) return;
  const names = [...new Set(refused.map(({ flow }) => flow))];
  const lines = names.slice(0, 10).map((name) => {
    const { packet, by } = refused.find(({ flow }) => flow === name)!;
    return `  ${name}: a packet ${packet} would be stopped ${by}`;
  });
  const more = names.length > lines.length ? [`  and ${names.length - lines.length} more`] : [];
  const how = names
    .slice(0, 10)
    .map((name) => `--force ${name}`)
    .join(' ');
  const message = [
    'this policy would cut what passes now; nothing was changed:',
    ...lines,
    ...more,
    `if that is meant: ${how}`,
  ];
  throw new PosternError('conflict', message.join('\n'), { details: { cut: refused } });
}

async function tried(
  next: CompiledPolicy,
  from: CompiledPolicy | undefined,
  host: LiveHost,
  flows: readonly LivingFlow[],
): Promise<Survival> {
  const trial = new Trial(await openScratch());
  try {
    await trial.build(host.host);
    const now = from === undefined ? undefined : await loadOf(from.plan, from, host, flows);
    const then = await loadOf(next.plan, from, host, flows);
    return await proveSurvival(trial, flows, now, { ...then, index: new PolicyIndex(next.policy) });
  } finally {
    trial.dispose();
  }
}

async function loadOf(
  plan: Plan,
  loaded: CompiledPolicy | undefined,
  { host, addresses }: LiveHost,
  flows: readonly LivingFlow[],
): Promise<TrialLoad> {
  const interfaces = host.devices.map(({ name }) => ({
    device: name,
    addresses: addresses.filter(({ device }) => device === name),
    gateways: [],
    routes: [],
  }));
  const planned = planContents(plan, interfaces);
  if (loaded === undefined) return { ruleset: plan.ruleset, contents: planned };
  const kernel = await openKernel();
  try {
    await kernel.adopt(loaded.plan.manifest);
    const packets = flows.map(({ protocol, tuple }): Packet => {
      const { source, destination, ...ports } = tuple;
      return { source, destination, protocol, tcp: { ...ports, flags: 0 }, payload: new Uint8Array(0) };
    });
    const names = host.devices.map(({ name }) => name);
    const { contents } = await liveElements(kernel, loaded.plan.manifest, plan, packets, names);
    const roles = new Set(loaded.plan.manifest.sets.map(({ name }) => name));
    // What the policy brings to sets that are not there yet.
    const fresh = [...planned].filter(([path]) => !roles.has(path.split(' ')[2] ?? '') || path.includes(' i_'));
    return { ruleset: plan.ruleset, contents: new Map([...contents, ...fresh]) };
  } finally {
    await kernel.close();
  }
}
