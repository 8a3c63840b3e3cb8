/** `why`: one packet through a policy on a copy of the host, and the answer. */

import type { Plan } from '../compiler/plan.js';
import type { LiveHost } from '../kernel/live-host.js';
import type { Entry, ScratchHost } from '../kernel/scratch.js';
import { formatAddress } from '../net/address.js';
import { counted } from '../net/text.js';
import type { Policy } from '../policy/ast.js';
import type { Flow } from '../wire/conntrack-flows.js';
import { encodePacket, type Packet, portsOf } from '../wire/packet.js';
import { type Answer, answerOf } from './answer.js';
import { effectsOf, memoryOf } from './effects.js';
import { loadableTables } from './foreign.js';
import type { HostInterface } from './host.js';
import { copiedContents, type Loaded, withLiveQuotas } from './live-sets.js';
import { packetBetween, packetsSeen } from './passage.js';
import type { Outcome } from './reading.js';
import type { Trial } from './trial.js';

/** The host that is asked about, as it is now. */
export interface LiveState {
  readonly host: LiveHost;
  /** Absent: nothing of ours is. */
  readonly loaded?: Loaded;
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

/** After translation a packet has other addresses, and so on; each round looks up what the one before has shown. */
const MOST_ROUNDS = 3;

/** @throws PosternError when the kernel can't be asked; what could not be copied is said in the answer. */
export async function why(trial: Trial, question: WhyQuestion): Promise<Answer> {
  const { plan, policy, packet, at, live } = question;
  const problems = await trial.build(live.host.host);
  const bytes = question.bytes ?? encodePacket(packet);
  let round = await tryOnce(trial, question, [packet, ...flowPackets(live.flow)], bytes);
  for (let count = 1; count < MOST_ROUNDS; count++) {
    const more = round.seen.filter((one) => !round.lookedUp.some((known) => endsOf(known) === endsOf(one)));
    if (more.length === 0) break;
    round = await tryOnce(trial, question, [...round.lookedUp, ...more], bytes);
  }
  const device = 'device' in at ? at.device : undefined;
  const caveats = [...live.host.problems, ...problems, ...round.caveats];
  const { outcome, effects, copied } = round;
  return answerOf({
    ...{ packet, outcome, rules: trial.rules, plan, policy, effects, copied, caveats },
    ...(device !== undefined && { device }),
  });
}

interface Round {
  readonly outcome: Outcome;
  /** The packet as rules saw it, once for each pair of ends. */
  readonly seen: readonly Packet[];
  readonly lookedUp: readonly Packet[];
  readonly effects: readonly string[];
  readonly copied: readonly string[];
  readonly caveats: readonly string[];
}

async function tryOnce(
  trial: Trial,
  { plan, at, live }: WhyQuestion,
  packets: readonly Packet[],
  bytes: Uint8Array,
): Promise<Round> {
  const elements = copiedContents({ plan, packets, interfaces: interfacesOf(live.host) }, live.loaded);
  const groups = plan.manifest.groups.map(({ group }) => group);
  const { contents } = elements;
  const ruleset = withLiveQuotas(plan, live.loaded);
  const caveats = [...elements.caveats];
  if (live.loaded === undefined) caveats.push('nothing of Postern is loaded: tables hold what the policy says');
  const load = { ruleset, contents, twin: true, groups };
  const foreign = await loadableTables(trial, load, live.foreign);
  caveats.push(...foreign.problems);
  if (!foreign.isLoaded) await trial.load({ ...load, foreign: foreign.texts });
  const copied = [...hostCopies(live.host.host, live), ...elements.copied];
  if (live.flow !== undefined) {
    const refused = await trial.connect([live.flow]);
    if (refused.length === 0) copied.push('the connection of the packet, as conntrack knows it');
    else caveats.push(`the packet's connection could not be copied: ${refused[0]?.reason}`);
  }
  const before = await memoryOf(trial.scratch, plan);
  const [run] = await trial.record([{ packet: bytes, at, counters: true }]);
  const effects = effectsOf(before, await memoryOf(trial.scratch, plan), plan);
  const outcome = trial.read(run!, bytes);
  return { outcome, seen: packetsSeen(run!, packets[0]!), lookedUp: packets, effects, copied, caveats };
}

/** Of a translated connection: what its other side sees. */
function flowPackets(flow: Flow | undefined): Packet[] {
  return flow === undefined ? [] : [flow.original, flow.reply].map((tuple) => packetBetween(flow.protocol, tuple));
}

/** The same for both directions: sets are asked for either end in any case. */
function endsOf(packet: Packet): string {
  const { sourcePort = 0, destinationPort = 0 } = portsOf(packet) ?? {};
  const ends = [
    `${formatAddress(packet.source)} ${sourcePort}`,
    `${formatAddress(packet.destination)} ${destinationPort}`,
  ];
  return ends.sort().join(' ');
}

export function interfacesOf({ host, addresses }: LiveHost): HostInterface[] {
  return host.devices.map(({ name }) => ({
    device: name,
    addresses: addresses.filter(({ device }) => device === name),
    gateways: [],
    routes: [],
  }));
}

function hostCopies({ devices, addresses, routes, rules, sysctls }: ScratchHost, { foreign }: LiveState): string[] {
  const counts = [
    counted(devices.length, 'device'),
    counted(addresses.length, 'address', 'addresses'),
    counted(routes.length, 'route'),
    counted(rules.length, 'routing rule'),
    counted(sysctls.length, 'setting'),
  ];
  return [counts.join(', '), ...(foreign.size > 0 ? [`tables of others: ${[...foreign.keys()].join(', ')}`] : [])];
}
