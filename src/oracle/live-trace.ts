/** What the rules of a live host do with packets that are traced there: one line for each, in the policy's words. */

import { formatAddress } from '../net/address.js';
import type { Hook } from '../nft/model.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import type { WireRule } from '../wire/nftables-rules.js';
import { readTrace, type TraceEvent } from '../wire/nftrace.js';
import { packetText } from './answer.js';
import { packetOfHeaders } from './passage.js';
import type { Place, PolicyIndex } from './policy-index.js';
import { handleKey, type Outcome, settled, stateOf, stepsOf } from './reading.js';
import type { Mark, RuleRef } from './twin.js';

/** The table that traces; its own rules are no news. */
export const WATCH_TABLE = 'postern_watch';

export interface WatchedPacket {
  /** ISO 8601: when its last rule was seen. */
  readonly at: string;
  readonly packet: string;
  /** The device that it came in by; absent: our own. */
  readonly in?: string;
  readonly out?: string;
  readonly verdict: Outcome['verdict'];
  /** `by p.yaml:12 { … }`. */
  readonly by: string;
  readonly place?: Place;
  readonly state: Outcome['state'];
  readonly mark: number;
}

export interface WatchedHost {
  readonly handles: ReadonlyMap<string, Mark | string>;
  readonly rules: readonly RuleRef[];
  /** Hooks of base chains by `family table chain`. */
  readonly hooks: ReadonlyMap<string, Hook>;
  readonly devices: ReadonlyMap<number, string>;
  readonly tracks: boolean;
  readonly index: PolicyIndex;
}

/** A packet whose rules are still coming in. */
interface Open {
  readonly events: TraceEvent[];
  seenAt: number;
}

/** Accepted packets say nothing when their way ends: it has ended when nothing came for so long. */
const QUIET_MS = 100;
/** Beyond it the oldest is told as it is. */
const MOST_OPEN = 1_000;

export class LiveTrace {
  readonly #open = new Map<number, Open>();

  constructor(
    private readonly host: WatchedHost,
    /** Whose packets are asked for: others may be traced, too. */
    private readonly isAsked: (source: string, destination: string) => boolean,
    private readonly tell: (packet: WatchedPacket) => void,
  ) {}

  /** @param now milliseconds since the epoch */
  take(datagram: Buffer, now: number): void {
    // The caller's buffer is used again.
    for (const event of readTrace(Buffer.from(datagram))) {
      const open = this.#open.get(event.id) ?? { events: [], seenAt: now };
      open.events.push(event);
      open.seenAt = now;
      this.#open.set(event.id, open);
    }
    for (const id of this.#open.keys()) {
      if (this.#open.size <= MOST_OPEN) break;
      this.#close(id);
    }
  }

  /** Tells those that nothing more has come of. */
  settle(now: number): void {
    for (const [id, { seenAt }] of this.#open) if (now - seenAt >= QUIET_MS) this.#close(id);
  }

  #close(id: number): void {
    const { events, seenAt } = this.#open.get(id)!;
    this.#open.delete(id);
    const heard = events.filter(({ table }) => table !== WATCH_TABLE);
    const header = events.find(({ network }) => network !== undefined);
    const packet = header?.network && packetOfHeaders(header.network, header.transport);
    if (packet === undefined || !this.isAsked(formatAddress(packet.source), formatAddress(packet.destination))) return;
    const { host } = this;
    const setting = { ...host, ethernet: new Set<string>() };
    const steps = stepsOf(heard, setting, ({ family, table, chain }) => host.hooks.get(`${family} ${table} ${chain}`));
    const { verdict, stop } = settled(steps, setting);
    const place = host.index.placeOf(stop);
    const [iif, oif] = [events.find((event) => event.iif)?.iif, events.findLast((event) => event.oif)?.oif];
    this.tell({
      at: new Date(seenAt).toISOString(),
      packet: packetText(packet),
      ...(iif !== undefined && { in: host.devices.get(iif) ?? `device ${iif}` }),
      ...(oif !== undefined && { out: host.devices.get(oif) ?? `device ${oif}` }),
      verdict,
      by: host.index.describe(stop),
      ...(place !== undefined && { place }),
      state: stateOf(heard, { tracks: host.tracks }, () => true),
      mark: events.at(-1)?.mark ?? 0,
    });
  }
}

/**
 * Which rule has which handle: the rules of a chain stand in the kernel in the order of the plan.
 * @returns the chains whose rules are others than the plan's, so that their lines are not known, too
 */
export function liveHandles(
  rules: readonly RuleRef[],
  live: readonly WireRule[],
): { readonly handles: Map<string, Mark | string>; readonly strange: readonly string[] } {
  const handles = new Map<string, Mark | string>();
  const strange: string[] = [];
  const own = groupBy(rules, ({ family, table, chain }) => `${NFPROTO[family]} ${table} ${chain}`);
  for (const [chain, listed] of groupBy(live, (rule) => `${rule.family} ${rule.table} ${rule.chain}`)) {
    const planned = own.get(chain);
    if (planned !== undefined && planned.length !== listed.length) strange.push(chain.split(' ').slice(1).join(' '));
    for (const [index, { family, table, handle, comment }] of listed.entries()) {
      const rule = planned?.length === listed.length ? planned[index] : undefined;
      const known = rule === undefined ? comment : ({ part: 'rule', number: rule.number } as const);
      if (known !== undefined) handles.set(handleKey(family, table, handle), known);
    }
  }
  return { handles, strange };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** `tcp 203.0.113.5:40000 > 192.0.2.1:22   in wan0   DROP by p.yaml:12 …   state new`. */
export function watchedText({ at, packet, in: from, out, verdict, by, state, mark }: WatchedPacket): string {
  const way = [from === undefined ? 'our own' : `in ${from}`, ...(out === undefined ? [] : [`out ${out}`])].join(', ');
  const facts = [
    ...(state === 'none' ? [] : [`state ${state}`]),
    ...(mark === 0 ? [] : [`mark 0x${mark.toString(16)}`]),
  ];
  const line = `${at.slice(11, 23)}  ${packet}  ${way}  ${verdict.toUpperCase()} ${by}`;
  return `${line}${facts.length > 0 ? `  (${facts.join(', ')})` : ''}\n`;
}

/** nft text of the tables that trace: a bounded number of packets of an address a second. */
export function watchTables(address: string, family: 4 | 6, perSecond: number, ingress: readonly string[]): string[] {
  const word = family === 4 ? 'ip' : 'ip6';
  const pick = `chain pick { limit rate ${perSecond}/second burst ${perSecond} packets meta nftrace set 1; }`;
  const both = `${word} saddr ${address} goto pick; ${word} daddr ${address} goto pick;`;
  const base = (hook: string, more = ''): string =>
    `type filter hook ${hook} ${more}priority -2147483648; policy accept;`;
  const devices = ingress.map((device) => `"${device}"`).join(', ');
  // What ingress has picked is traced from there on, and counts once.
  const others = ingress.length === 0 ? '' : `iifname { ${devices} } accept; `;
  const inet = `table inet ${WATCH_TABLE} { flags owner; ${pick}; chain prerouting { ${base('prerouting')} ${others}${both} }; chain output { ${base('output')} ${both} }; }`;
  if (ingress.length === 0) return [inet];
  const hook = base('ingress', `devices = { ${devices} } `);
  return [inet, `table netdev ${WATCH_TABLE} { flags owner; ${pick}; chain ingress { ${hook} ${both} }; }`];
}
