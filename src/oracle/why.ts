/** `why`: one packet through a policy on a copy of the host, and the answer. */

import type { Manifest, ManifestSet, Plan } from '../compiler/plan.js';
import { asPosternError, PosternError } from '../errors.js';
import type { Kernel } from '../kernel/kernel.js';
import type { LiveHost } from '../kernel/live-host.js';
import type { Entry, ScratchHost } from '../kernel/scratch.js';
import { formatDuration } from '../net/duration.js';
import type { Policy } from '../policy/ast.js';
import type { Flow } from '../wire/conntrack-flows.js';
import { encodePacket, type Packet } from '../wire/packet.js';
import { type Answer, answerOf } from './answer.js';
import type { HostInterface } from './host.js';
import { liveElements } from './live-sets.js';
import { type Member, membersOf } from './memory.js';
import { planContents } from './plan-contents.js';
import type { SetContents, Trial, TrialLoad } from './trial.js';

/** The host that is asked about, as it is now. */
export interface LiveState {
  readonly host: LiveHost;
  /** Elements are read from it by the indexes of `manifest`. Absent: nothing of ours is loaded. */
  readonly kernel?: Kernel;
  readonly manifest?: Manifest;
  /** The connection that the packet belongs to. */
  readonly flow?: Flow;
  /** nft text of the tables that aren't ours, by their names. */
  readonly foreign: ReadonlyMap<string, string>;
}

export interface WhyQuestion {
  readonly plan: Plan;
  readonly policy: Policy;
  /** Bytes in place of the packet, when it came as bytes. */
  readonly packet: Packet;
  readonly bytes?: Uint8Array;
  readonly at: Entry;
  readonly live: LiveState;
}

/** @throws PosternError when the kernel can't be asked; what could not be copied is said in the answer. */
export async function why(trial: Trial, { plan, policy, packet, bytes, at, live }: WhyQuestion): Promise<Answer> {
  const { host } = live.host;
  const caveats = [...live.host.problems, ...(await trial.build(host))];
  const elements = await copiedElements(plan, packet, live);
  const groups = plan.manifest.groups.map(({ group }) => group);
  const load: TrialLoad = { ruleset: plan.ruleset, contents: elements.contents, twin: true, groups };
  caveats.push(...elements.caveats, ...(await loadWithForeign(trial, load, live.foreign)));
  const copied = [...hostCopies(host, live), ...elements.copied];
  if (live.flow !== undefined) {
    const refused = await trial.connect([live.flow]);
    if (refused.length === 0) copied.push('the connection of the packet, as conntrack knows it');
    else caveats.push(`the packet's connection could not be copied: ${refused[0]?.reason}`);
  }
  const before = await remembered(trial, plan);
  const [outcome] = await trial.send([{ packet: bytes ?? encodePacket(packet), at, counters: true }]);
  const effects = changes(before, await remembered(trial, plan));
  const device = 'device' in at ? at.device : undefined;
  return answerOf({
    ...{ packet, outcome: outcome!, rules: trial.rules, plan, policy, effects, copied, caveats },
    ...(device !== undefined && { device }),
  });
}

async function copiedElements(
  plan: Plan,
  packet: Packet,
  { host, kernel, manifest }: LiveState,
): Promise<{ contents: SetContents; copied: readonly string[]; caveats: readonly string[] }> {
  const planned = planContents(plan, interfacesOf(host));
  if (kernel === undefined || manifest === undefined) {
    return {
      contents: planned,
      copied: [],
      caveats: ['nothing of Postern is loaded: tables hold what the policy says'],
    };
  }
  const devices = host.host.devices.map(({ name }) => name);
  const live = await liveElements(kernel, manifest, plan, [packet], devices);
  const own = plan.manifest.sets.filter(({ role }) => role.kind === 'interface' || role.kind === 'table');
  const isLive = new Set(manifest.sets.map(({ role }) => JSON.stringify(Object.entries(role).sort())));
  const contents = new Map(live.contents);
  for (const set of own) {
    const path = [...planned.keys()].find((key) => key.endsWith(` ${set.name}`));
    const isThere = isLive.has(JSON.stringify(Object.entries(set.role).sort()));
    // A table that the host doesn't have yet comes with the policy's entries.
    if (path !== undefined && (!isThere || set.role.kind === 'interface')) contents.set(path, planned.get(path)!);
  }
  return { ...live, contents };
}

function interfacesOf({ host, addresses }: LiveHost): HostInterface[] {
  return host.devices.map(({ name }) => ({
    device: name,
    addresses: addresses.filter(({ device }) => device === name),
    gateways: [],
    routes: [],
  }));
}

function hostCopies({ devices, addresses, routes, rules, sysctls }: ScratchHost, { foreign }: LiveState): string[] {
  const counts = [
    `${devices.length} devices`,
    `${addresses.length} addresses`,
    `${routes.length} routes`,
    `${rules.length} routing rules`,
    `${sysctls.length} settings`,
  ];
  return [counts.join(', '), ...(foreign.size > 0 ? [`tables of others: ${[...foreign.keys()].join(', ')}`] : [])];
}

/** With the tables of others that load; those that don't are named. */
export async function loadWithForeign(
  trial: Trial,
  load: TrialLoad,
  foreign: ReadonlyMap<string, string>,
): Promise<string[]> {
  try {
    await trial.load({ ...load, foreign: [...foreign.values()] });
    return [];
  } catch (error) {
    if (foreign.size === 0 || !(error instanceof PosternError)) throw error;
  }
  const loadable: string[] = [];
  const caveats: string[] = [];
  for (const [name, text] of foreign) {
    try {
      await trial.load({ ...load, foreign: [...loadable, text] });
      loadable.push(text);
    } catch (error) {
      caveats.push(`table ${name} could not be copied (${asPosternError(error).message}): the verdict is without it`);
    }
  }
  await trial.load({ ...load, foreign: loadable });
  return caveats;
}

/** By set. */
type Remembered = ReadonlyMap<string, { readonly label: string; readonly members: readonly Member[] }>;

/** What rules may change: sets that are neither the policy's nor the daemon's alone. */
async function remembered({ scratch }: Trial, { manifest }: Plan): Promise<Remembered> {
  const sets = manifest.sets.filter(
    ({ contents, role, data }) => contents === undefined && role.kind !== 'interface' && data === undefined,
  );
  const lists = await membersOf(scratch, manifest, sets);
  const labelOf = ({ role, name }: ManifestSet): string => (role.kind === 'table' ? `<${role.table}>` : name);
  return new Map(sets.map((set, index) => [set.name, { label: labelOf(set), members: lists[index]! }]));
}

function changes(before: Remembered, after: Remembered): string[] {
  return [...after].flatMap(([set, { label, members }]) => {
    const known = new Map(before.get(set)?.members.map((member) => [member.text, member]));
    const added = members.flatMap(({ text, expiresMs, packets }) => {
      const old = known.get(text);
      if (old === undefined) return [`${text} is added to ${label}${forText(expiresMs)}`];
      return packets !== undefined && packets > (old.packets ?? 0n) ? [`${text} is counted in ${label}`] : [];
    });
    const gone = [...known.keys()].filter((text) => !members.some((member) => member.text === text));
    return [...added, ...gone.map((text) => `${text} is deleted from ${label}`)];
  });
}

const forText = (expiresMs: number | undefined): string =>
  expiresMs === undefined ? '' : ` for ${formatDuration(Math.ceil(expiresMs / 1000) * 1000)}`;
