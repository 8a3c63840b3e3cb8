/** `watch` on the host as it is. */

import type { CompiledPolicy, PolicyText } from '../engine/policy-control.js';
import { stateFile } from '../engine/state-file.js';
import { PosternError } from '../errors.js';
import { readLiveHost } from '../kernel/live-host.js';
import { openLiveSets } from '../kernel/live-sets.js';
import { holdTables } from '../kernel/owned-tables.js';
import { watchSocket } from '../kernel/socket-watch.js';
import type { Hook } from '../nft/model.js';
import {
  LiveTrace,
  liveHandles,
  WATCH_TABLE,
  type WatchedHost,
  type WatchedPacket,
  watchTables,
} from '../oracle/live-trace.js';
import { PolicyIndex } from '../oracle/policy-index.js';
import { markRules } from '../oracle/twin.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import { TRACE_GROUP } from '../wire/nftrace.js';
import type { Daemon } from './client.js';
import { defaultState } from './defaults.js';
import { compileText } from './policy-file.js';

export interface WatchAsk {
  /** A prefix or an address, and its family. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly isAsked: (source: string, destination: string) => boolean;
  readonly perSecond: number;
  /** Packets to tell of. */
  readonly most: number;
  readonly places: { readonly netns?: string; readonly state?: string };
  readonly daemon?: Daemon;
  notify(notice: string): void;
  tell(packet: WatchedPacket): Promise<void>;
}

const SETTLE_MS = 50;
const RECEIVE_BYTES = 8 << 20;

/** Until enough packets were told, or a signal comes. @throws PosternError when packets can't be traced. */
export async function watchPackets(ask: WatchAsk): Promise<void> {
  const { address, family, perSecond, places, notify } = ask;
  const { netns } = places;
  const compiled = await inForce(ask);
  const sets = openLiveSets(compiled?.plan.manifest.tables ?? [], netns);
  const ingress = ingressDevices(compiled);
  const stop = new Stop();
  try {
    const host = hostOf(compiled, ask, sets.rules());
    const lines = watchTables(address, family, perSecond, ingress);
    const isThere = (): boolean => sets.tables().filter(({ name }) => name === WATCH_TABLE).length === lines.length;
    if (sets.tables().some(({ name }) => name === WATCH_TABLE)) {
      throw new PosternError('conflict', 'another postern watch runs here; the kernel can trace for one at a time');
    }
    let told = 0;
    let telling = Promise.resolve();
    const trace = new LiveTrace(host, ask.isAsked, (packet) => {
      if (++told > ask.most) return;
      telling = telling.then(() => ask.tell(packet));
      if (told === ask.most) stop.now();
    });
    const watch = watchSocket(
      {
        protocol: 'NETFILTER',
        groups: [TRACE_GROUP],
        receiveBufferBytes: RECEIVE_BYTES,
        ...(netns && { namespace: netns }),
      },
      {
        datagram: (bytes) => trace.take(bytes, Date.now()),
        lost: (reason) => notify(`some packets are not told completely: ${reason}`),
      },
    );
    const settling = setInterval(() => trace.settle(Date.now()), SETTLE_MS);
    try {
      const held = await holdTables({ lines, isThere, ...(netns !== undefined && { netns }) });
      notify(`watching ${address}: at most ${perSecond} packets a second; Ctrl-C ends it`);
      const failure = await Promise.race([stop.asked, held.ended]);
      await held.close();
      if (failure !== undefined) throw failure;
    } finally {
      clearInterval(settling);
      watch.close();
      await telling;
    }
  } finally {
    stop.done();
    sets.close();
  }
}

/** Asked to end by a signal, or from inside. */
class Stop {
  readonly #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  now: () => void = () => {};
  readonly asked = new Promise<undefined>((resolve) => {
    this.now = () => resolve(undefined);
    for (const signal of this.#signals) process.on(signal, this.now);
  });

  done(): void {
    for (const signal of this.#signals) process.off(signal, this.now);
  }
}

/** Undefined when nothing of ours is: then others' rules are told all the same. */
async function inForce({ daemon, places, notify }: WatchAsk): Promise<CompiledPolicy | undefined> {
  if (daemon !== undefined) return compileText(await daemon.ask<PolicyText>('GET', '/v1/policy'));
  const kept = await stateFile(places.state ?? defaultState(places.netns)).read();
  if (kept === undefined) notify('no policy is in force: rules are told by their tables');
  return kept && compileText(kept.source, kept.manifest);
}

function ingressDevices(compiled: CompiledPolicy | undefined): string[] {
  const chains = compiled?.plan.ruleset.tables.flatMap((table) => table.chains) ?? [];
  const devices = chains.flatMap(({ base }) => (base?.hook === 'ingress' ? (base.devices ?? []) : []));
  return [...new Set(devices)];
}

function hostOf(
  compiled: CompiledPolicy | undefined,
  { places: { netns }, notify }: WatchAsk,
  live: Parameters<typeof liveHandles>[1],
): WatchedHost {
  const tables = compiled?.plan.ruleset.tables ?? [];
  const { rules } = markRules({ tables }, { twin: false });
  const { handles, strange } = liveHandles(rules, live);
  for (const chain of strange) notify(`the rules of ${chain} are not those of the policy: their lines are not known`);
  const hooks = tables.flatMap(({ family, name, chains }) =>
    chains.flatMap(({ name: chain, base }): [string, Hook][] =>
      base === undefined ? [] : [[`${NFPROTO[family]} ${name} ${chain}`, base.hook]],
    ),
  );
  const devices = readLiveHost(netns).host.devices.map(({ index, name }) => [index, name] as const);
  return {
    ...{ handles, rules, hooks: new Map(hooks), devices: new Map([...devices, [1, 'lo']]), tracks: true },
    index: new PolicyIndex(compiled?.policy),
  };
}
