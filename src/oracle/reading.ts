/** From what the kernel told of a packet to what became of it. Nothing is guessed: what is not known is `incomplete`. */

import type { RawRun } from '../kernel/scratch.js';
import { addressBytes, compareAddresses } from '../net/address.js';
import type { Hook } from '../nft/model.js';
import { decodeFrame } from '../wire/ethernet.js';
import { type LogCopy, readLogCopies } from '../wire/nflog.js';
import { CT_STATE, readTrace, type TraceEvent } from '../wire/nftrace.js';
import { decodePacket, type Packet, portsOf } from '../wire/packet.js';
import { hostReason, type LostReason } from './lost.js';
import { PROBE_TABLE, probeOf } from './probes.js';
import type { Mark, RuleRef } from './twin.js';

export type Verdict = 'accept' | 'drop' | 'reject' | 'answered' | 'reflected' | 'lost' | 'incomplete';
export type State = 'new' | 'established' | 'related' | 'invalid' | 'untracked' | 'none';

/** What ended the packet's way, or let it through. */
export type Stop =
  | { readonly by: 'rule'; readonly rule: RuleRef }
  /** A rule of a table that isn't ours. */
  | { readonly by: 'foreign'; readonly table: string; readonly chain: string; readonly rule?: string }
  | { readonly by: 'policy'; readonly table: string; readonly chain: string; readonly hook: Hook }
  | { readonly by: 'host'; readonly reason: LostReason }
  /** No rule and no policy that isn't `accept` stood in the way. */
  | { readonly by: 'nothing' };

/** One thing that happened to the packet in a rule or at a chain's end. */
export interface Step {
  readonly hook: Hook;
  readonly family: number;
  readonly table: string;
  readonly chain: string;
  readonly kind: TraceEvent['kind'];
  readonly verdict: TraceEvent['verdict'];
  readonly target?: string;
  /** Of our own tables. */
  readonly mark?: Mark;
  /** The comment of a foreign rule. */
  readonly comment?: string;
}

/** A packet that left by a device. */
export interface Exit {
  readonly device: string;
  readonly packet: Packet;
  /** `answer`: it goes to the sender; `onward`: the packet itself, or a copy. */
  readonly kind: 'answer' | 'onward';
}

export interface Outcome {
  readonly verdict: Verdict;
  readonly stop: Stop;
  /** Where it ended, or was last seen. */
  readonly hook?: Hook;
  readonly steps: readonly Step[];
  readonly state: State;
  /** The packet's mark where it was last seen. */
  readonly mark: number;
  readonly out: readonly Exit[];
  readonly copies: readonly LogCopy[];
  /** Why it is not known what became of the packet. */
  readonly incomplete?: string;
}

/** What is loaded and what the packet was. */
export interface Setting {
  /** By `handleKey`. */
  readonly handles: ReadonlyMap<string, Mark | string>;
  readonly rules: readonly RuleRef[];
  /** Names by interface index. */
  readonly devices: ReadonlyMap<number, string>;
  /** Devices whose frames have Ethernet headers. */
  readonly ethernet: ReadonlySet<string>;
  /** Does anything that is loaded look at connections? Then a packet without a state is invalid. */
  readonly tracks: boolean;
}

export const handleKey = (family: number, table: string, handle: bigint | number): string =>
  `${family} ${table} ${handle}`;

/** @param packet what was injected; undefined for bytes that are no IP packet. */
export function readRun(run: RawRun, packet: Packet | undefined, setting: Setting): Outcome {
  const events = eventsOf(readTrace(viewOf(run.trace)), packet);
  const steps = stepsOf(events, setting);
  const out = exitsOf(run, packet, setting);
  const copies = readLogCopies(viewOf(run.copies));
  const seen = { steps, state: stateOf(events, setting), mark: events.at(-1)?.mark ?? 0, out, copies };
  const incomplete = whyIncomplete(run, events);
  if (incomplete !== undefined) return { verdict: 'incomplete', stop: { by: 'nothing' }, ...seen, incomplete };
  return { ...seen, ...conclude(steps, run, packet, out, setting) };
}

function whyIncomplete({ lost, refused }: RawRun, events: readonly TraceEvent[]): string | undefined {
  if (lost > 0) return `${lost} events of the trace were lost`;
  if (events.length > 0) return undefined;
  return refused === undefined ? 'the kernel told nothing of the packet' : `the packet could not be sent: ${refused}`;
}

const viewOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);

/** The events of the packet, whatever ids it had: after loopback and after reassembly it gets another one. */
function eventsOf(events: TraceEvent[], packet: Packet | undefined): TraceEvent[] {
  if (packet === undefined) return events;
  const ends = endsOf(packet);
  const own = new Map<number, boolean>();
  return events.filter((event) => {
    const known = own.get(event.id);
    if (known !== undefined) return known;
    const isOwn = isBetween(event, ends);
    own.set(event.id, isOwn);
    return isOwn;
  });
}

/** As they stand in the headers. */
interface Ends {
  /** Of the source, then of the destination. */
  readonly addresses: Uint8Array;
  /** Likewise; absent when there are none that all of its fragments carry. */
  readonly ports?: Uint8Array;
}

function endsOf(packet: Packet): Ends {
  const addresses = Buffer.concat([addressBytes(packet.source), addressBytes(packet.destination)]);
  const ports = packet.fragment === undefined ? portsOf(packet) : undefined;
  if (ports === undefined) return { addresses };
  const { sourcePort, destinationPort } = ports;
  const bytes = [sourcePort >> 8, sourcePort & 0xff, destinationPort >> 8, destinationPort & 0xff];
  return { addresses, ports: Uint8Array.from(bytes) };
}

function isBetween({ network, transport }: TraceEvent, { addresses, ports }: Ends): boolean {
  if (network === undefined) return false;
  const v4 = (network[0] ?? 0) >> 4 === 4;
  if (v4 !== (addresses.length === 8) || !standsAt(network, v4 ? 12 : 8, addresses)) return false;
  return ports === undefined || transport === undefined || transport.length < 4 || standsAt(transport, 0, ports);
}

const standsAt = (bytes: Uint8Array, at: number, wanted: Uint8Array): boolean =>
  wanted.every((byte, index) => bytes[at + index] === byte);

/** @param hookOf where a chain is, if it says so; others are where the one before was. */
export function stepsOf(
  events: readonly TraceEvent[],
  { handles }: Pick<Setting, 'handles'>,
  hookOf: (event: TraceEvent) => Hook | undefined = ({ table, chain }) =>
    table === PROBE_TABLE ? probeOf(chain)?.hook : undefined,
): Step[] {
  let hook: Hook = 'prerouting';
  return events.map((event) => {
    hook = hookOf(event) ?? hook;
    const { family, table, chain, kind, verdict, target, handle } = event;
    const known =
      handle === undefined || table === PROBE_TABLE ? undefined : handles.get(handleKey(family, table, handle));
    const mark = typeof known === 'object' ? known : undefined;
    const comment = typeof known === 'string' ? known : undefined;
    // Objects of one shape: there are some twenty of them for each packet.
    return { hook, family, table, chain, kind, verdict, target, mark, comment };
  });
}

/** @param isAfterTracking tells events that come when connection tracking has looked at the packet. */
export function stateOf(
  events: readonly TraceEvent[],
  { tracks }: Pick<Setting, 'tracks'>,
  isAfterTracking: (event: TraceEvent) => boolean = ({ table, chain }) =>
    table === PROBE_TABLE && isBehindTracking(chain),
): State {
  const bits = events.findLast(({ ctState }) => ctState !== undefined)?.ctState;
  if (bits === undefined) return tracks && events.some(isAfterTracking) ? 'invalid' : 'none';
  if ((bits & CT_STATE.UNTRACKED) !== 0) return 'untracked';
  if ((bits & CT_STATE.ESTABLISHED) !== 0) return 'established';
  if ((bits & CT_STATE.RELATED) !== 0) return 'related';
  return (bits & CT_STATE.NEW) !== 0 ? 'new' : 'invalid';
}

const isBehindTracking = (chain: string): boolean => !/^(?:ingress|egress)_|^(?:prerouting|output)_first$/.test(chain);

function exitsOf(run: RawRun, packet: Packet | undefined, { ethernet }: Setting): Exit[] {
  return run.frames.flatMap(({ device, bytes }) => {
    const inner = ethernet.has(device) ? decodeFrame(bytes)?.payload : bytes;
    const version = (inner?.[0] ?? 0) >> 4;
    if (inner === undefined || (version !== 4 && version !== 6)) return [];
    const sent = decodePacket(inner);
    const isAnswer = packet !== undefined && compareAddresses(sent.destination, packet.source) === 0;
    return [{ device, packet: sent, kind: isAnswer ? ('answer' as const) : ('onward' as const) }];
  });
}

type Conclusion = Pick<Outcome, 'verdict' | 'stop' | 'hook' | 'incomplete'>;

function conclude(
  steps: readonly Step[],
  run: RawRun,
  packet: Packet | undefined,
  out: readonly Exit[],
  setting: Setting,
): Conclusion {
  const end = steps.findLast(isEnd);
  const last = steps.at(-1)!;
  const { hook } = last;
  if (end !== undefined) return { ...ended(end, out, setting), hook: end.hook };
  const probe = last.table === PROBE_TABLE ? probeOf(last.chain) : undefined;
  const through = steps.some(
    ({ table, chain }) => table === PROBE_TABLE && (chain === 'input_last' || chain === 'postrouting_last'),
  );
  if (through) return { verdict: 'accept', stop: letThrough(steps, setting), hook };
  if (probe?.end === 'last' || (probe !== undefined && packet?.fragment !== undefined)) {
    return { verdict: 'lost', stop: { by: 'host', reason: hostReason(run, probe.hook, packet) }, hook };
  }
  const incomplete = 'the trace ends before the packet does';
  return { verdict: 'incomplete', stop: { by: 'nothing' }, hook, incomplete };
}

/** What rules made of a packet on a live host, where no probe tells that it got through. */
export function settled(steps: readonly Step[], setting: Setting): Pick<Outcome, 'verdict' | 'stop'> {
  const end = steps.findLast(isEnd);
  if (end === undefined) return { verdict: 'accept', stop: letThrough(steps, setting) };
  const { verdict, stop } = ended(end, [], setting);
  return { verdict, stop };
}

const isEnd = ({ verdict }: Step): boolean => verdict === 'drop' || verdict === 'stolen' || verdict === 'queue';

function ended(
  end: Step,
  out: readonly Exit[],
  setting: Setting,
): { verdict: Verdict; stop: Stop; incomplete?: string } {
  const stop = stopOf(end, setting);
  if (end.verdict === 'queue') return { verdict: 'incomplete', stop, incomplete: 'it was handed to a program (queue)' };
  if (end.verdict === 'stolen') return { verdict: does(stop, 'fwd') ? 'reflected' : 'answered', stop };
  // A policy only drops; what answers then is the host, with an ICMP redirect.
  const refused = stop.by === 'foreign' ? out.some(({ kind }) => kind === 'answer') : does(stop, 'reject');
  return { verdict: refused ? 'reject' : 'drop', stop };
}

const does = (stop: Stop, statement: string): boolean =>
  stop.by === 'rule' && stop.rule.rule.statements.some((one) => statement in one);

/** The last decision that let it through: a rule's `accept`, or the policy of a chain of ours. */
function letThrough(steps: readonly Step[], setting: Setting): Stop {
  const deciders = steps.filter(
    ({ table, verdict, kind }) => table !== PROBE_TABLE && verdict === 'accept' && kind !== 'return',
  );
  const decided = (of: readonly Step[]): Step | undefined =>
    of.findLast(({ kind }) => kind === 'rule') ?? of.findLast(({ kind }) => kind === 'policy');
  const judging = deciders.filter(({ hook }) => hook === 'input' || hook === 'forward' || hook === 'output');
  const step = decided(judging) ?? decided(deciders);
  return step === undefined ? { by: 'nothing' } : stopOf(step, setting);
}

function stopOf({ table, chain, kind, mark, comment, hook }: Step, { rules }: Setting): Stop {
  if (kind === 'policy') return { by: 'policy', table, chain, hook };
  const rule = mark?.part === 'rule' ? rules[mark.number] : undefined;
  if (rule !== undefined) return { by: 'rule', rule };
  return { by: 'foreign', table, chain, ...(comment !== undefined && { rule: comment }) };
}
