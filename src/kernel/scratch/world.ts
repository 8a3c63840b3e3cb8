/** The stand-in host inside the thread's namespace: its devices, its netlink sockets, and packets through it. */

import { writeFileSync } from 'node:fs';
import { PosternError } from '../../errors.js';
import { decodeFrame, encodeFrame } from '../../wire/ethernet.js';
import { FLAG, MessageWriter, type NetlinkMessage } from '../../wire/netlink.js';
import { writeLogBind } from '../../wire/nflog.js';
import { BATCH_BEGIN } from '../../wire/nfnetlink.js';
import { IFF, RTM, writeLinkChange, writeSetup, writeVethPair } from '../../wire/rtnetlink-setup.js';
import { KernelRefusal } from '../exchange.js';
import { dumpEntries, dumpNow, RECEIVE_BYTES, requestNow, transactNow } from '../exchange-now.js';
import { CallError, CLONE_NEWNET, ERRNO, errnoName, fixedBuffer, lastErrno, libc } from '../layouts.js';
import { type NlSocket, openNlSocket } from '../nl-socket.js';
import type { Answer, Injection, RawRun, ScratchDevice, ScratchHost, ScratchSocket } from '../scratch.js';
import { growth, readCounters } from './counters.js';
import type { HeldDevice } from './device.js';
import { openListener } from './listeners.js';
import { sendLocal } from './local-sender.js';
import { openTap } from './tap.js';
import { TraceSocket } from './trace-socket.js';
import { openVeth, type PairMaker } from './veth.js';

const LOOPBACK_INDEX = 1;
const DUMP_BOUNDS = { maxDatagrams: 10_000, timeoutMs: 10_000 } as const;
/** The station that all frames come from, unless they say otherwise: locally administered. */
const PEER_MAC = Uint8Array.of(0x02, 0, 0, 0, 0, 0xfe);

/** Nothing but what was injected may move here: no duplicate detection, no router solicitation, no own IPv6 addresses. */
const QUIET: ScratchHost['sysctls'] = [
  ['ipv6/conf/default/accept_dad', '0'],
  ['ipv6/conf/default/accept_ra', '0'],
  ['ipv6/conf/default/router_solicitations', '0'],
  ['ipv6/conf/default/addr_gen_mode', '1'],
];

/**
 * Moves the calling thread into a new network namespace.
 * @throws PosternError `forbidden` when this process may not make one.
 */
export function leaveForNewNamespace(): void {
  if (libc.unshare(CLONE_NEWNET) === 0) return;
  const errno = lastErrno();
  throw new PosternError(
    errno === ERRNO.EPERM ? 'forbidden' : 'system',
    `a network namespace to try packets in can't be made (${new CallError('unshare', errno).message}): run this as root, or inside 'unshare -Urn'`,
  );
}

export class World {
  readonly #buffer = fixedBuffer(RECEIVE_BYTES);
  readonly #sockets: Record<'NETFILTER' | 'ROUTE', NlSocket> = {
    NETFILTER: openNlSocket({ protocol: 'NETFILTER', receiveBufferBytes: 8 << 20, sendBufferBytes: 8 << 20 }),
    ROUTE: openNlSocket({ protocol: 'ROUTE', receiveBufferBytes: 8 << 20 }),
  };
  readonly #trace = new TraceSocket();
  #log: NlSocket | undefined;
  readonly #listeners: number[] = [];
  #held: HeldDevice[] = [];
  #heldBy = new Map<string, HeldDevice>();
  #seq = 1;

  /** Answers what could not be set up, for people. */
  build({ devices, addresses, routes, rules, sysctls }: ScratchHost): string[] {
    const problems: string[] = [];
    for (const [path, value] of QUIET) writeSysctl(path, value, problems);
    this.#held = devices.map((device) => openTap(device) ?? openVeth(device, this.#pairs));
    this.#heldBy = new Map(this.#held.map((held) => [held.device.name, held]));
    const up = (link: { index: number; flags: number; mac?: Uint8Array }): void =>
      this.#setUp(problems, `device ${link.index}`, (writer, seq) => writeLinkChange(writer, seq, link));
    up({ index: LOOPBACK_INDEX, flags: IFF.UP });
    for (const { index, mac } of devices) {
      // Without ARP and neighbour discovery every next hop is reachable at once.
      up({ index, flags: IFF.UP | IFF.NOARP, ...(mac !== undefined && { mac }) });
    }
    for (const [path, value] of sysctls) writeSysctl(path, value, problems);
    const each = (type: number, what: string, bodies: readonly Uint8Array[]): void => {
      for (const body of bodies) this.#setUp(problems, what, (writer, seq) => writeSetup(writer, type, seq, body));
    };
    each(RTM.NEWADDR, 'an address', addresses);
    each(RTM.NEWROUTE, 'a route', routes);
    each(RTM.NEWRULE, 'a routing rule', rules);
    this.#silence();
    return problems;
  }

  /** Takes the copies of these groups from now on. @throws PosternError `kernel` */
  listen(groups: readonly number[]): void {
    this.#log?.close();
    this.#log = undefined;
    if (groups.length === 0) return;
    this.#log = openNlSocket({ protocol: 'NETFILTER', silentOverflow: true, receiveBufferBytes: 8 << 20 });
    for (const group of groups) {
      const writer = new MessageWriter(128);
      writeLogBind(writer, this.#nextSeq(2), group);
      requestNow(this.#log, writer.finish(), this.#buffer);
    }
  }

  /** Listens on these sockets, and no longer on those before. @throws PosternError `invalid` */
  serve(sockets: readonly ScratchSocket[]): void {
    for (const fd of this.#listeners.splice(0)) libc.close(fd);
    for (const socket of sockets) this.#listeners.push(openListener(socket));
  }

  exchange(protocol: 'NETFILTER' | 'ROUTE', bytes: Uint8Array): Answer {
    const request = Buffer.from(bytes);
    if (request.readUInt16LE(4) === BATCH_BEGIN) return this.#transact(request);
    const seq = this.#nextSeq(1);
    request.writeUInt32LE(seq, 8);
    const socket = this.#sockets[protocol];
    try {
      if ((request.readUInt16LE(6) & FLAG.DUMP) !== FLAG.DUMP) {
        return { errno: 0, messages: requestNow(socket, request, this.#buffer) };
      }
      const messages: NetlinkMessage[] = [];
      for (const datagram of dumpNow(socket, request, DUMP_BOUNDS, this.#buffer)) {
        // The buffer is used again for the next datagram.
        messages.push(...dumpEntries(Buffer.from(datagram), seq));
      }
      return { errno: 0, messages };
    } catch (error) {
      if (!(error instanceof KernelRefusal)) throw error;
      const { errno, reason } = error.acknowledgement;
      return { errno, ...(reason !== undefined && { reason }), messages: [] };
    }
  }

  #transact(batch: Buffer): Answer {
    const [refused] = transactNow(this.#sockets.NETFILTER, batch, this.#buffer).refused;
    if (refused === undefined) return { errno: 0, messages: [] };
    return { errno: refused.errno, ...(refused.reason !== undefined && { reason: refused.reason }), messages: [] };
  }

  inject(injection: Injection): RawRun {
    const before = injection.counters ? readCounters() : undefined;
    const refused = this.#send(injection);
    const run = {
      trace: this.#trace.take(),
      copies: this.#log === undefined ? new Uint8Array(0) : drain(this.#log, this.#buffer),
      frames: this.#sentFrames(),
      lost: this.#trace.lost(),
      ...(refused !== undefined && { refused }),
    };
    return before === undefined ? run : { ...run, counters: growth(before, readCounters()) };
  }

  close(): void {
    for (const socket of [this.#trace, ...Object.values(this.#sockets), this.#log]) socket?.close();
    for (const held of this.#held) held.close();
    this.serve([]);
  }

  #send({ packet, at, sourceMac = PEER_MAC }: Injection): string | undefined {
    if ('local' in at) return sendLocal(packet, at.local);
    const held = this.#heldBy.get(at.device);
    if (held === undefined) throw new PosternError('not-found', `the host has no device ${at.device}`);
    const { mac } = held.device;
    const errno = held.write(mac === undefined ? packet : encodeFrame(mac, sourceMac, packet));
    return errno === 0 ? undefined : errnoName(errno);
  }

  #sentFrames(): RawRun['frames'] {
    const frames: { device: string; bytes: Uint8Array }[] = [];
    for (const held of this.#held) {
      const { device } = held;
      for (const bytes of held.sent()) if (!isNoise(device, bytes)) frames.push({ device: device.name, bytes });
    }
    return frames;
  }

  readonly #pairs: PairMaker = {
    make: (device, peer) => this.#ask((writer, seq) => writeVethPair(writer, seq, device, peer)),
    up: (index, flags) => this.#ask((writer, seq) => writeLinkChange(writer, seq, { index, flags })),
  };

  /** What devices sent by themselves when they came up belongs to no packet. */
  #silence(): void {
    this.#trace.take();
    this.#sentFrames();
  }

  #ask(write: (writer: MessageWriter, seq: number) => void): void {
    const writer = new MessageWriter(256);
    write(writer, this.#nextSeq(1));
    requestNow(this.#sockets.ROUTE, writer.finish(), this.#buffer);
  }

  #setUp(problems: string[], what: string, write: (writer: MessageWriter, seq: number) => void): void {
    try {
      this.#ask(write);
    } catch (error) {
      if (!(error instanceof KernelRefusal)) throw error;
      if (error.errno !== ERRNO.EEXIST) problems.push(`${what} could not be set up: ${error.message}`);
    }
  }

  #nextSeq(count: number): number {
    const seq = this.#seq;
    this.#seq += count;
    return seq;
  }
}

function writeSysctl(path: string, value: string, problems: string[]): void {
  try {
    writeFileSync(`/proc/sys/net/${path}`, value);
  } catch (error) {
    problems.push(`net/${path} could not be set to ${value}: ${(error as Error).message}`);
  }
}

function drain(socket: NlSocket, buffer: Buffer): Uint8Array {
  const datagrams: Buffer[] = [];
  for (let bytes = socket.receive(buffer); bytes >= 0; bytes = socket.receive(buffer)) {
    datagrams.push(Buffer.from(buffer.subarray(0, bytes)));
  }
  return new Uint8Array(Buffer.concat(datagrams));
}

const IPV6 = 6;
const ICMPV6 = 58;
const HOP_BY_HOP = 0;
const MLD2_REPORT = 143;

/** Multicast reports (RFC 3810), which the kernel sends by a timer of its own. */
function isNoise(device: ScratchDevice, bytes: Uint8Array): boolean {
  const packet = device.mac === undefined ? bytes : decodeFrame(bytes)?.payload;
  if (packet === undefined || (packet[0] ?? 0) >> 4 !== IPV6) return false;
  if (packet[6] === HOP_BY_HOP) return packet[40] === ICMPV6 && packet[48] === MLD2_REPORT;
  return packet[6] === ICMPV6 && packet[40] === MLD2_REPORT;
}
