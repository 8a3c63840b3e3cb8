/** The proof before an apply, on a copy of this host. */

import type { Plan } from '../compiler/plan.js';
import type { CompiledPolicy, ProofTerms } from '../engine/policy-control.js';
import { asPosternError, PosternError } from '../errors.js';
import { readForeignTables } from '../kernel/foreign-tables.js';
import { type LiveHost, readLiveFlows, readLiveHost } from '../kernel/live-host.js';
import { openLiveSets } from '../kernel/live-sets.js';
import { readLiveSockets } from '../kernel/live-sockets.js';
import { openScratch } from '../kernel/open-scratch.js';
import { loadableTables } from '../oracle/foreign.js';
import { copiedContents, type Loaded, withLiveQuotas } from '../oracle/live-sets.js';
import { livingFlows } from '../oracle/living.js';
import { packetBetween } from '../oracle/passage.js';
import { PolicyIndex } from '../oracle/policy-index.js';
import { type LivingFlow, proveSurvival, type Survival } from '../oracle/survival.js';
import { Trial, type TrialLoad } from '../oracle/trial.js';
import { interfacesOf } from '../oracle/why.js';
import { counted } from './text.js';

/**
 * Refuses a policy that would cut flows that pass now. Where packets can't be tried, that is said, and the apply goes on.
 * @param notify is told of what could not be proved
 * @throws PosternError `conflict`
 */
export async function prove(
  next: CompiledPolicy,
  from: CompiledPolicy | undefined,
  { force = [], operator }: ProofTerms,
  notify: (notice: string) => void,
): Promise<void> {
  const host = readLiveHost();
  const living = { sockets: readLiveSockets(), entries: readLiveFlows(), policy: next.policy };
  const { flows, untold } = livingFlows({ ...living, ...(operator !== undefined && { sshConnection: operator }) });
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
  const { fragile, failing } = survival;
  if (fragile.length > 0)
    notify(`${namesOf(fragile)}: goes on as long as conntrack keeps its entry; without it, the new policy stops it`);
  if (failing.length > 0) notify(`passes neither now nor with the new policy: ${namesOf(failing)}`);
  refuseCuts(survival, force);
}

const MOST_NAMES = 10;

function namesOf(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? ` and ${counted(names.length - MOST_NAMES, 'more', 'more')}` : '';
  return names.slice(0, MOST_NAMES).join(', ') + more;
}

const unable: ReadonlySet<string> = new Set(['forbidden', 'unsupported', 'system']);

/** @throws PosternError `conflict` unless every cut flow was named. */
export function refuseCuts({ cut }: Survival, force: readonly string[]): void {
  const refused = cut.filter(({ flow }) => !force.includes(flow));
  if (refused.length === 0) return;
  const names = [...new Set(refused.map(({ flow }) => flow))];
  const lines = names.slice(0, 10).map((name) => {
    const { packet, entry, by } = refused.find(({ flow }) => flow === name)!;
    const without = entry === 'none' && packet !== 'to open it' ? ', without its conntrack entry,' : '';
    return `  ${name}: a packet ${packet}${without} would be stopped ${by}`;
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
  const opening = openScratch();
  opening.catch(() => {});
  const sets = openLiveSets(from?.plan.manifest.tables ?? []);
  try {
    const loaded = from && { sets, plan: from.plan };
    const then = loadOf(next.plan, loaded, host, flows);
    const foreign = await readForeignTables(sets);
    const trial = new Trial(await opening);
    const problems = [...host.problems, ...(await trial.build(host.host)), ...foreign.problems];
    const others = await loadableTables(trial, then, foreign.texts);
    const now = from === undefined ? nothing : loadOf(from.plan, loaded, host, flows);
    const isEmpty = from === undefined && others.texts.length === 0;
    const survival = await proveSurvival(trial, flows, isEmpty ? undefined : { ...now, foreign: others.texts }, {
      ...then,
      foreign: others.texts,
      index: new PolicyIndex(next.policy),
    });
    return { ...survival, untried: [...survival.untried, ...problems, ...others.problems] };
  } finally {
    sets.close();
    opening.then(
      (scratch) => scratch.dispose(),
      () => {},
    );
  }
}

const nothing: TrialLoad = { ruleset: { tables: [] } };

function loadOf(plan: Plan, loaded: Loaded | undefined, host: LiveHost, flows: readonly LivingFlow[]): TrialLoad {
  const packets = flows.flatMap(({ protocol, tuple, entry }) =>
    [tuple, ...(entry === undefined ? [] : [entry.reply])].map((one) => packetBetween(protocol, one)),
  );
  const { contents } = copiedContents({ plan, packets, interfaces: interfacesOf(host) }, loaded);
  return { ruleset: withLiveQuotas(plan, loaded), contents };
}
