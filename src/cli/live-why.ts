/** `why` with the host as it is: everything that the answer needs is read, and tried on a copy. */

import type { Plan } from '../compiler/plan.js';
import type { CompiledPolicy } from '../engine/policy-control.js';
import { PosternError } from '../errors.js';
import { readForeignTables } from '../kernel/foreign-tables.js';
import { type LiveHost, readLiveFlow, readLiveHost } from '../kernel/live-host.js';
import { openLiveSets } from '../kernel/live-sets.js';
import { openScratch } from '../kernel/open-scratch.js';
import type { Entry, Scratch } from '../kernel/scratch.js';
import type { Answer } from '../oracle/answer.js';
import { Trial } from '../oracle/trial.js';
import { type LiveState, why } from '../oracle/why.js';
import type { Policy } from '../policy/ast.js';
import { packetOf, parseLine } from '../policy/packet-line.js';
import { decodePacket, type Packet, PROTOCOL, portsOf } from '../wire/packet.js';

export interface WhyAsk {
  /** The policy to try: what is in force, or another one. */
  readonly compiled: CompiledPolicy;
  /** What is in force. */
  readonly loaded?: Pick<Plan, 'manifest' | 'tables'>;
  readonly packet: AskedPacket;
  readonly netns?: string;
  /** One that was opened before; it is disposed of. */
  readonly scratch?: Promise<Scratch>;
}

/** A packet in one line, or as bytes with the interface where it comes in (`host`: the host's own). */
export type AskedPacket = { readonly line: string } | { readonly bytes: Uint8Array; readonly from: string };

/** Read before anything is opened, so that a mistake in it is told at once. @throws PosternError `invalid` */
export function readAsked(asked: AskedPacket): Asked {
  if ('bytes' in asked) {
    const { bytes, from } = asked;
    return { packet: decodePacket(bytes), bytes, ...(from !== OWN && { from }), local: {} };
  }
  const line = parseLine(asked.line);
  const { from, mark, uid } = line;
  const local = { ...(mark !== undefined && { mark }), ...(uid !== undefined && { uid }) };
  return { packet: packetOf(line, () => FRESH_PORT), ...(from !== undefined && { from }), local };
}

interface Asked {
  readonly packet: Packet;
  readonly bytes?: Uint8Array;
  /** Absent: the host's own. */
  readonly from?: string;
  readonly local: Extract<Entry, { local: unknown }>['local'];
}

/** @throws PosternError `invalid` (the packet), `not-found` (the interface), and whatever the kernel says. */
export async function askWhy({ compiled, loaded, packet, netns, scratch }: WhyAsk): Promise<Answer> {
  const asked = readAsked(packet);
  // Its thread starts while the host is read.
  const opening = scratch ?? openScratch();
  opening.catch(() => {});
  const sets = openLiveSets(loaded?.manifest.tables ?? [], netns);
  try {
    const host = readLiveHost(netns);
    const at = entryOf(asked, compiled.policy, host);
    const flow = flowOf(asked.packet, netns);
    const foreign = await readForeignTables(sets, netns);
    const live: LiveState = {
      host: { ...host, problems: [...host.problems, ...foreign.problems] },
      ...(loaded !== undefined && { loaded: { sets, plan: loaded } }),
      ...(flow !== undefined && { flow }),
      foreign: foreign.texts,
    };
    const { plan, policy } = compiled;
    return await why(new Trial(await opening), { plan, policy, ...asked, at, live });
  } finally {
    sets.close();
    opening.then(
      (scratch) => scratch.dispose(),
      () => {},
    );
  }
}

const OWN = 'host';
const FRESH_PORT = 49_151;

function entryOf({ from, local }: Asked, { interfaces }: Policy, { host }: LiveHost): Entry {
  if (from === undefined) return { local };
  const device = interfaces.get(from)?.device ?? from;
  if (host.devices.some(({ name }) => name === device)) return { device };
  const aliases = [...interfaces].map(([name, of]) => `${name} (${of.device})`);
  const names = [...aliases, ...host.devices.map(({ name }) => name)].join(', ');
  throw new PosternError('not-found', `the host has no interface ${from} that is up; there are ${names || 'none'}`);
}

function flowOf(packet: Packet, netns: string | undefined): LiveState['flow'] {
  const ports = portsOf(packet);
  if (ports === undefined || (packet.protocol !== PROTOCOL.TCP && packet.protocol !== PROTOCOL.UDP)) return undefined;
  const { source, destination, protocol } = packet;
  return readLiveFlow(netns, protocol, { source, destination, ...ports });
}
