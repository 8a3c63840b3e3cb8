/**
 * The proof before an apply: flows that pass now go through the new policy, too, on a copy of the host. What passes now
 * and would fail then is named with the rule that would do it.
 */

import type { Entry } from '../kernel/scratch.js';
import { type Address, formatAddress } from '../net/address.js';
import { type Flow, type FlowTuple, isReplayable, turned } from '../wire/conntrack-flows.js';
import { MessageWriter } from '../wire/netlink.js';
import { encodePacket, FLAG_BIT, type Packet } from '../wire/packet.js';
import { readRouteLookup, writeRouteLookup } from '../wire/rtnetlink-setup.js';
import { packetBetween } from './passage.js';
import type { PolicyIndex } from './policy-index.js';
import type { Outcome } from './reading.js';
import type { Trial, TrialLoad } from './trial.js';

/** A flow that has to go on. */
export interface LivingFlow {
  /** What people type to let it go: `ssh/203.0.113.5`. */
  readonly name: string;
  readonly protocol: number;
  readonly tuple: FlowTuple;
  /** As conntrack has it; absent: it is not tracked, or its entry is lost. */
  readonly entry?: Flow;
  /** It is to be opened, not to go on: its first packet alone is sent. */
  readonly opens?: boolean;
  /** Where its first packet comes in; by the route to its source when absent. */
  readonly at?: Entry;
}

/** A flow that passes now and would not then. */
export interface Cut {
  readonly flow: string;
  readonly packet: 'from the peer' | 'to the peer' | 'to open it';
  /** With its conntrack entry, or without it: entries get lost, and a first policy that tracks finds none. */
  readonly entry: 'kept' | 'none';
  /** `by policy.yaml:12 …`. */
  readonly by: string;
}

export interface Survival {
  readonly cut: readonly Cut[];
  /** Flows that go on as long as their conntrack entries do, and would have gone on without them until now. */
  readonly fragile: readonly string[];
  /** Flows that pass neither now nor then. */
  readonly failing: readonly string[];
  /** What could not be tried, for people. */
  readonly untried: readonly string[];
  readonly packets: number;
}

interface Probe {
  readonly flow: LivingFlow;
  readonly what: Cut['packet'];
  readonly packet: Packet;
  readonly at: Entry;
}

/** A probe in one of the two modes. */
type Try = Probe & Pick<Cut, 'entry'>;

/**
 * @param trial with the host already built
 * @param now what is loaded; undefined: nothing, so that everything passes
 */
export async function proveSurvival(
  trial: Trial,
  flows: readonly LivingFlow[],
  now: TrialLoad | undefined,
  then: TrialLoad & { readonly index: PolicyIndex },
): Promise<Survival> {
  const routes = new Map<string, Entry | undefined>();
  const untried: string[] = [];
  const probes: Probe[] = [];
  for (const flow of flows) {
    const own = await probesOf(trial, flow, routes);
    if (own.length === 0) untried.push(`${flow.name}: the host has no way to or from it`);
    probes.push(...own);
  }
  const tries = triesOf(probes);
  const after = await sendAll(trial, tries, then);
  if (after.every(({ verdict }) => verdict === 'accept')) {
    return { cut: [], fragile: [], failing: [], untried, packets: tries.length };
  }
  const before = now === undefined ? undefined : await sendAll(trial, tries, now);
  const ours = now !== undefined && now.ruleset.tables.length > 0;
  const cut: Cut[] = [];
  const [fragile, failing] = [new Set<string>(), new Set<string>()];
  for (const [index, { flow, what, entry }] of tries.entries()) {
    const outcome = after[index]!;
    if (outcome.verdict === 'accept') continue;
    const by = outcome.incomplete ?? then.index.describe(outcome.stop);
    const isHypothetical = entry === 'none' && flow.entry !== undefined;
    if (before !== undefined && before[index]!.verdict !== 'accept') {
      if (!isHypothetical) failing.add(flow.name);
    }
    // Its entry stays when rules come, and nothing of ours was there that would have let it go on without.
    else if (isHypothetical && !ours) fragile.add(flow.name);
    else cut.push({ flow: flow.name, packet: what, entry, by });
  }
  for (const { flow } of cut) fragile.delete(flow);
  const packets = tries.length * (before === undefined ? 1 : 2);
  return { cut, fragile: [...fragile], failing: [...failing], untried, packets };
}

/** First those with entries, then all without. */
function triesOf(probes: readonly Probe[]): Try[] {
  const tracked = probes.filter(({ flow }) => flow.entry !== undefined && isReplayable(flow.entry));
  return [
    ...tracked.map((probe) => ({ ...probe, entry: 'kept' as const })),
    ...probes.map((probe) => ({ ...probe, entry: 'none' as const })),
  ];
}

/** The entries are made anew for each ruleset: a load forgets them. */
async function sendAll(trial: Trial, tries: readonly Try[], load: TrialLoad): Promise<Outcome[]> {
  await trial.load(load);
  const [kept, none] = (['kept', 'none'] as const).map((mode) => tries.filter(({ entry }) => entry === mode));
  const entries = new Set(kept!.flatMap(({ flow }) => flow.entry ?? []));
  await trial.connect([...entries]);
  const send = (some: readonly Try[]) =>
    trial.send(some.map(({ packet, at }) => ({ packet: encodePacket(packet), at })));
  const withEntries = await send(kept!);
  await trial.forgetFlows();
  return [...withEntries, ...(await send(none!))];
}

async function probesOf(trial: Trial, flow: LivingFlow, routes: Map<string, Entry | undefined>): Promise<Probe[]> {
  const { tuple } = flow;
  const there = flow.at ?? (await wayFrom(trial, tuple.source, routes));
  if (there === undefined) return [];
  if (flow.opens)
    return [{ flow, what: 'to open it', packet: packetOf(flow.protocol, tuple, FLAG_BIT.SYN), at: there }];
  // With translation the other side sends to what it knows the connection by.
  const reply = flow.entry?.reply ?? turned(tuple);
  const back = await wayFrom(trial, reply.source, routes);
  const ack = FLAG_BIT.ACK;
  return [
    { flow, what: 'from the peer', packet: packetOf(flow.protocol, tuple, ack), at: there },
    ...(back === undefined
      ? []
      : [{ flow, what: 'to the peer' as const, packet: packetOf(flow.protocol, reply, ack), at: back }]),
  ];
}

function packetOf(protocol: number, tuple: FlowTuple, flags: number): Packet {
  const packet = packetBetween(protocol, tuple);
  return packet.tcp === undefined ? packet : { ...packet, tcp: { ...packet.tcp, flags } };
}

/** Where packets of an address come from: this host, or the device that leads to it. */
async function wayFrom(
  trial: Trial,
  address: Address,
  known: Map<string, Entry | undefined>,
): Promise<Entry | undefined> {
  const text = formatAddress(address);
  if (known.has(text)) return known.get(text);
  const writer = new MessageWriter(64);
  writeRouteLookup(writer, 1, address);
  const [answer] = await trial.scratch.exchange('ROUTE', [writer.finish()]);
  const body = answer?.messages[0]?.body;
  const way = answer?.errno === 0 && body !== undefined ? readRouteLookup(body) : undefined;
  const device = typeof way === 'number' ? trial.deviceAt(way) : undefined;
  const entry: Entry | undefined = way === 'local' ? { local: {} } : device === undefined ? undefined : { device };
  known.set(text, entry);
  return entry;
}
