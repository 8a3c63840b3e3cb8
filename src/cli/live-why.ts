/** `why` with the host as it is: everything that the answer needs is read, and tried on a copy. */

import type { Manifest } from '../compiler/plan.js';
import type { CompiledPolicy } from '../engine/policy-control.js';
import { PosternError } from '../errors.js';
import { type LiveHost, readLiveFlow, readLiveHost } from '../kernel/live-host.js';
import { type Nft, openNft } from '../kernel/nft.js';
import { openKernel } from '../kernel/open.js';
import { type Entry, openScratch } from '../kernel/scratch.js';
import type { Answer } from '../oracle/answer.js';
import { Trial } from '../oracle/trial.js';
import { type LiveState, why } from '../oracle/why.js';
import type { PacketLine, Policy } from '../policy/ast.js';
import { packetOf, parseLine } from '../policy/packet-line.js';
import { decodePacket, type Packet, PROTOCOL, portsOf } from '../wire/packet.js';

export interface WhyAsk {
  /** The policy to try: what is in force, or another one. */
  readonly compiled: CompiledPolicy;
  /** What of ours is loaded. */
  readonly loaded?: Manifest;
  /** As in `parseLine`. */
  readonly line?: string;
  /** A packet as bytes, and the interface where it comes in (`host`: the host's own). */
  readonly bytes?: { readonly packet: Uint8Array; readonly from: string };
  readonly netns?: string;
}

/** @throws PosternError `invalid` (the packet), `not-found` (the interface), and whatever the kernel says. */
export async function askWhy(ask: WhyAsk): Promise<Answer> {
  const asked = askedPacket(ask);
  const host = readLiveHost(ask.netns);
  const at = entryOf(asked.from, asked.line, ask.compiled.policy, host);
  const { netns, loaded, compiled } = ask;
  const [trial, kernel, foreign] = await Promise.all([
    openScratch().then((scratch) => new Trial(scratch)),
    openKernel(netns === undefined ? {} : { netns }),
    foreignTables(openNft(netns === undefined ? {} : { netns })),
  ]);
  try {
    if (loaded !== undefined) await kernel.adopt(loaded);
    const flow = flowOf(asked.packet, netns);
    const live: LiveState = {
      host,
      ...(loaded !== undefined && { kernel, manifest: loaded }),
      ...(flow !== undefined && { flow }),
      foreign,
    };
    const { plan, policy } = compiled;
    return await why(trial, {
      plan,
      policy,
      packet: asked.packet,
      ...(ask.bytes && { bytes: ask.bytes.packet }),
      at,
      live,
    });
  } finally {
    trial.dispose();
    await kernel.close();
  }
}

const FRESH_PORT = 49_151;

function askedPacket({ line, bytes }: WhyAsk): { packet: Packet; from: string | undefined; line?: PacketLine } {
  if (bytes !== undefined) {
    return { packet: decodePacket(bytes.packet), from: bytes.from === 'host' ? undefined : bytes.from };
  }
  const parsed = parseLine(line ?? '');
  return { packet: packetOf(parsed, () => FRESH_PORT), from: parsed.from, line: parsed };
}

function entryOf(
  from: string | undefined,
  line: PacketLine | undefined,
  { interfaces }: Policy,
  { host }: LiveHost,
): Entry {
  if (from === undefined) {
    const { mark, uid } = line ?? {};
    return { local: { ...(mark !== undefined && { mark }), ...(uid !== undefined && { uid }) } };
  }
  const device = interfaces.get(from)?.device ?? from;
  if (host.devices.some(({ name }) => name === device)) return { device };
  const names = host.devices.map(({ name }) => name).join(', ');
  throw new PosternError('not-found', `the host has no interface ${from} that is up; there are ${names || 'none'}`);
}

function flowOf(packet: Packet, netns: string | undefined): LiveState['flow'] {
  const ports = portsOf(packet);
  if (ports === undefined || (packet.protocol !== PROTOCOL.TCP && packet.protocol !== PROTOCOL.UDP)) return undefined;
  const { source, destination, protocol } = packet;
  return readLiveFlow(netns, protocol, { source, destination, ...ports });
}

const ownName = 'postern';

async function foreignTables(nft: Nft): Promise<Map<string, string>> {
  const { tables } = await nft.list();
  const texts = new Map<string, string>();
  for (const table of tables) {
    if (table.name !== ownName) texts.set(`${table.family} ${table.name}`, await nft.copy(table));
  }
  return texts;
}
