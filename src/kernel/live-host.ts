/** The host as it is: what of it decides about packets, read so that a scratch host can be made like it. */

import { readFileSync } from 'node:fs';
import type { Address } from '../net/address.js';
import { type Flow, type FlowTuple, readFlow, writeFlowLookup, writeFlowsRequest } from '../wire/conntrack-flows.js';
import { MessageWriter, type NetlinkMessage } from '../wire/netlink.js';
import { readLinkMessage } from '../wire/rtnetlink.js';
import {
  CACHE_ATTRIBUTE,
  RTM,
  SETUP_HEADER_BYTES,
  withoutAttribute,
  writeSetupRequest,
} from '../wire/rtnetlink-setup.js';
import { KernelRefusal } from './exchange.js';
import { dumpEntries, dumpNow, openNetfilterSocket, RECEIVE_BYTES, requestNow } from './exchange-now.js';
import { ERRNO, fixedBuffer } from './layouts.js';
import { inNamespace } from './netns.js';
import { type NlSocket, openNlSocket } from './nl-socket.js';
import type { ScratchDevice, ScratchHost } from './scratch.js';

export interface LiveHost {
  readonly host: ScratchHost;
  readonly addresses: readonly { readonly device: string; readonly address: Address; readonly length: number }[];
  /** What was left out, for people. */
  readonly problems: readonly string[];
}

const DUMP_BOUNDS = { maxDatagrams: 50_000, timeoutMs: 10_000 } as const;
/** Each device costs the scratch host half a millisecond, and 30 ms when it goes. */
const MOST_DEVICES = 64;
const MOST_ROUTES = 10_000;
const LOCAL_TABLE = 255;
const PROTOCOL_KERNEL = 2;
const MULTICAST_TYPE = 5;
/** Rules that every namespace has: local, main, default. */
const OWN_RULES: ReadonlySet<number> = new Set([0, 32_766, 32_767]);
const RULE_PRIORITY = 6;
const ROUTE_GATEWAY = 5;
const LINK_UP = 1;

const global = [
  'ipv4/ip_forward',
  'ipv4/fwmark_reflect',
  'ipv4/conf/all/rp_filter',
  'ipv4/conf/all/accept_local',
  'ipv4/conf/all/route_localnet',
  'ipv4/conf/all/src_valid_mark',
  'ipv6/conf/all/forwarding',
  'netfilter/nf_conntrack_tcp_loose',
  'netfilter/nf_conntrack_tcp_be_liberal',
] as const;
const perDevice = [
  'ipv4/conf/DEVICE/forwarding',
  'ipv4/conf/DEVICE/rp_filter',
  'ipv4/conf/DEVICE/accept_local',
  'ipv4/conf/DEVICE/route_localnet',
  'ipv4/conf/DEVICE/src_valid_mark',
  'ipv6/conf/DEVICE/forwarding',
] as const;

/**
 * Reads devices, addresses, routes, routing rules and settings of a network namespace. Takes some milliseconds.
 * @throws PosternError `not-found`, `system`, `busy`
 */
export function readLiveHost(namespace?: string): LiveHost {
  const socket = openNlSocket({
    protocol: 'ROUTE',
    ...(namespace !== undefined && { namespace }),
    receiveBufferBytes: 8 << 20,
  });
  try {
    return readHost(namespace, (type) => list(socket, (writer) => writeSetupRequest(writer, type, 1)));
  } finally {
    socket.close();
  }
}

function readHost(namespace: string | undefined, dump: (type: number) => NetlinkMessage[]): LiveHost {
  const problems: string[] = [];
  const all = dump(RTM.GETLINK).flatMap((message) => deviceOf(message) ?? []);
  const devices = all.slice(0, MOST_DEVICES);
  if (all.length > devices.length) problems.push(`only ${MOST_DEVICES} of ${all.length} devices were copied`);
  const known = new Set(devices.map(({ index }) => index));
  const addressMessages = dump(RTM.GETADDR).filter(({ body }) => known.has(body.readUInt32LE(4)));
  const routes = dump(RTM.GETROUTE).filter(isOwnRoute);
  const legacy = inNamespace(namespace, legacyTables);
  if (legacy.length > 0)
    problems.push(`rules of iptables-legacy (${legacy.join(', ')}) are on the host and not part of this`);
  if (routes.length > MOST_ROUTES) problems.push(`only ${MOST_ROUTES} of ${routes.length} routes were copied`);
  return {
    host: {
      devices,
      addresses: addressMessages.map(({ body }) =>
        withoutAttribute(body, SETUP_HEADER_BYTES.address, CACHE_ATTRIBUTE.address),
      ),
      routes: gatewaysLast(routes.slice(0, MOST_ROUTES)),
      rules: dump(RTM.GETRULE)
        .filter(isOwnRule)
        .map(({ body }) => Uint8Array.from(body)),
      sysctls: inNamespace(namespace, () => readSettings(devices)),
    },
    addresses: addressMessages.flatMap((message) => {
      const found = readLinkMessage(message);
      if (found?.kind !== 'address') return [];
      const device = devices.find(({ index }) => index === found.index)!.name;
      return [{ device, address: found.address, length: found.prefixLength }];
    }),
    problems,
  };
}

/** Devices that packets can go through: up, and not loopback. */
function deviceOf(message: NetlinkMessage): ScratchDevice | undefined {
  const found = readLinkMessage(message);
  if (found?.kind !== 'link' || found.loopback || (message.body.readUInt32LE(8) & LINK_UP) === 0) return undefined;
  const { name, index, mac } = found;
  return mac === undefined ? { name, index, arpType: message.body.readUInt16LE(2) } : { name, index, mac };
}

/** Not those that the kernel makes of addresses. */
function isOwnRoute({ body }: NetlinkMessage): boolean {
  return body[4] !== LOCAL_TABLE && body[5] !== PROTOCOL_KERNEL && body[7] !== MULTICAST_TYPE && body[4] !== 0;
}

function gatewaysLast(routes: readonly NetlinkMessage[]): Uint8Array[] {
  const bodies = routes.map(({ body }) => withoutAttribute(body, SETUP_HEADER_BYTES.route, CACHE_ATTRIBUTE.route));
  const hasGateway = (body: Uint8Array): boolean =>
    withoutAttribute(Buffer.from(body), SETUP_HEADER_BYTES.route, ROUTE_GATEWAY).length < body.length;
  return [...bodies.filter((body) => !hasGateway(body)), ...bodies.filter(hasGateway)];
}

function isOwnRule({ body }: NetlinkMessage): boolean {
  const header = SETUP_HEADER_BYTES.rule;
  const without = withoutAttribute(body, header, RULE_PRIORITY);
  if (without.length === body.length) return false;
  for (let at = header; at + 8 <= body.length; at += (body.readUInt16LE(at) + 3) & ~3) {
    if (body.readUInt16LE(at + 2) === RULE_PRIORITY) return !OWN_RULES.has(body.readUInt32LE(at + 4));
    if (body.readUInt16LE(at) < 4) return false;
  }
  return false;
}

function readSettings(devices: readonly ScratchDevice[]): [string, string][] {
  // A device's name may have a dot, which is no separator in a path.
  const paths = [...global, ...devices.flatMap(({ name }) => perDevice.map((path) => path.replace('DEVICE', name)))];
  return paths.flatMap((path): [string, string][] => {
    try {
      return [[path, readFileSync(`/proc/sys/net/${path}`, 'utf8').trim()]];
    } catch {
      // Not there without IPv6 or connection tracking: then it isn't on the scratch host either.
      return [];
    }
  });
}

/** Tables of the old packet filter, which nobody can copy by nft. */
function legacyTables(): string[] {
  return ['ip', 'ip6'].flatMap((family) => {
    try {
      const names = readFileSync(`/proc/thread-self/net/${family}_tables_names`, 'utf8').split('\n');
      return names.filter((name) => name !== '').map((name) => `${family} ${name}`);
    } catch {
      return [];
    }
  });
}

/** The connection that a packet belongs to, as conntrack has it now. @throws PosternError */
export function readLiveFlow(namespace: string | undefined, protocol: number, tuple: FlowTuple): Flow | undefined {
  const socket = openNetfilterSocket(namespace);
  try {
    const writer = new MessageWriter(256);
    writeFlowLookup(writer, 1, protocol, tuple);
    const [answer] = requestNow(socket, writer.finish(), fixedBuffer(RECEIVE_BYTES));
    return answer && readFlow(answer.body);
  } catch (error) {
    if (error instanceof KernelRefusal && error.errno === ERRNO.ENOENT) return undefined;
    throw error;
  } finally {
    socket.close();
  }
}

/** All connections that conntrack knows. @throws PosternError */
export function readLiveFlows(namespace?: string): Flow[] {
  const socket = openNetfilterSocket(namespace);
  try {
    return list(socket, (writer) => writeFlowsRequest(writer, 1)).map(({ body }) => readFlow(body));
  } finally {
    socket.close();
  }
}

function list(socket: NlSocket, write: (writer: MessageWriter) => void): NetlinkMessage[] {
  const writer = new MessageWriter(64);
  write(writer);
  const messages: NetlinkMessage[] = [];
  for (const datagram of dumpNow(socket, writer.finish(), DUMP_BOUNDS, fixedBuffer(RECEIVE_BYTES))) {
    messages.push(...dumpEntries(Buffer.from(datagram), 1));
  }
  return messages;
}
