/** Which flows an apply may not cut: the operator's, clients' of the API, connections that stand, and those of the policy. */

import type { LiveSocket } from '../kernel/live-sockets.js';
import { type Address, formatAddress } from '../net/address.js';
import { serviceName } from '../net/port.js';
import type { PacketLine, Policy } from '../policy/ast.js';
import { type Flow, type FlowTuple, isReplayable } from '../wire/conntrack-flows.js';
import { PROTOCOL } from '../wire/packet.js';
import type { LivingFlow } from './survival.js';

export interface Living {
  readonly sockets: readonly LiveSocket[];
  readonly entries: readonly Flow[];
  readonly policy: Policy;
  /** The environment's SSH_CONNECTION: client, its port, server, its port. */
  readonly sshConnection?: string;
}

/** Each costs two packets for each ruleset. */
const MOST_FLOWS = 500;
const SSH_PORT = 22;
const FRESH_PORT = 49_152;

/** Those of management first; beyond a bound the rest is counted. */
export function livingFlows(living: Living): { flows: LivingFlow[]; untold: number } {
  const management = managementPorts(living);
  const tracked = new Map(
    living.entries.filter(isStanding).map((entry) => [keyOf(entry.protocol, entry.original), entry]),
  );
  const flows = [
    ...living.sockets.filter(isRemote).map((socket) => ofSocket(socket, tracked)),
    ...[...tracked.values()].filter(({ original }) => !isLoopback(original.source)).map(ofEntry),
  ];
  const unique = new Map(flows.map((flow) => [keyOf(flow.protocol, flow.tuple), flow]));
  const isManaged = ({ tuple }: LivingFlow): boolean => management.has(tuple.destinationPort);
  const managed = [...unique.values()].filter(isManaged);
  const opening = new Map(managed.map((flow) => [flow.name, { ...opened(flow), opens: true }]));
  const others = [...unique.values()].filter((flow) => !isManaged(flow));
  const all = [...living.policy.mustSurvive.map(ofPolicy), ...managed, ...opening.values(), ...others];
  return { flows: all.slice(0, MOST_FLOWS), untold: Math.max(0, all.length - MOST_FLOWS) };
}

function managementPorts({ policy, sshConnection }: Living): Set<number> {
  const ports = (policy.api?.listen ?? []).flatMap(({ tcp }) => (tcp === undefined ? [] : [tcp.port]));
  const ssh = Number(sshConnection?.split(' ')[3]);
  return new Set([SSH_PORT, ...ports, ...(Number.isInteger(ssh) ? [ssh] : [])]);
}

const isStanding = (flow: Flow): boolean => flow.assured === true && isReplayable(flow);
const isRemote = ({ remote }: LiveSocket): boolean => !isLoopback(remote.address);

function isLoopback({ family, value }: Address): boolean {
  return family === 4 ? value >> 24n === 127n : value === 1n;
}

const keyOf = (protocol: number, { source, destination, sourcePort, destinationPort }: FlowTuple): string =>
  `${protocol} ${formatAddress(source)} ${sourcePort} ${formatAddress(destination)} ${destinationPort}`;

function ofSocket({ local, remote, inbound }: LiveSocket, tracked: ReadonlyMap<string, Flow>): LivingFlow {
  const [from, to] = inbound ? [remote, local] : [local, remote];
  const tuple = { source: from.address, destination: to.address, sourcePort: from.port, destinationPort: to.port };
  const entry = tracked.get(keyOf(PROTOCOL.TCP, tuple));
  return { name: nameOf(PROTOCOL.TCP, tuple, remote.address), protocol: PROTOCOL.TCP, tuple, ...(entry && { entry }) };
}

function ofEntry(entry: Flow): LivingFlow {
  const { protocol, original } = entry;
  return { name: nameOf(protocol, original, original.source), protocol, tuple: original, entry };
}

function opened(flow: LivingFlow): LivingFlow {
  const { name, protocol, tuple } = flow;
  return { name, protocol, tuple: { ...tuple, sourcePort: FRESH_PORT } };
}

function ofPolicy({ name, packet }: Policy['mustSurvive'][number]): LivingFlow {
  return { name, protocol: packet.protocol, tuple: tupleOf(packet), opens: true };
}

const tupleOf = ({ source, destination, sourcePort = FRESH_PORT, destinationPort = 0 }: PacketLine): FlowTuple => ({
  ...{ source, destination, sourcePort, destinationPort },
});

/** `ssh/203.0.113.5`: what people type to let it go. */
function nameOf(protocol: number, { destinationPort }: FlowTuple, peer: Address): string {
  const kind = protocol === PROTOCOL.UDP ? 'udp' : 'tcp';
  return `${serviceName(destinationPort, kind) ?? `${kind}-${destinationPort}`}/${formatAddress(peer)}`;
}
