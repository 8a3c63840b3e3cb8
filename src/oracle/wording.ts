/** Conditions of nft rules in the words of a policy, and what the packet has instead. */

import type { Manifest } from '../compiler/plan.js';
import { formatAddress } from '../net/address.js';
import { formatProtocol } from '../net/protocol.js';
import type { Expression, Statement } from '../nft/model.js';
import { renderStatement } from '../nft/statement.js';
import { flagNames, type Packet, portsOf } from '../wire/packet.js';
import type { Outcome } from './reading.js';
import { setLabel } from './set-label.js';

/** What is known of the packet that a condition was held against. */
export interface Facts {
  readonly packet: Packet;
  readonly outcome: Outcome;
  readonly manifest: Manifest;
  /** The device that it came in by. */
  readonly device?: string;
  /** Of the device, as the policy calls it. */
  readonly alias: (device: string) => string;
}

/** `from <bruteforce>`, `tcp 22`, `in wan`; nft's own words for what has none here. */
export function conditionText(statement: Statement, facts: Facts): string {
  if (!('match' in statement)) return renderStatement(statement);
  const { match } = statement;
  const subject = subjectOf(match.left);
  if (subject === undefined) return renderStatement(statement);
  return `${subject} ${match.op === '!=' ? 'not ' : ''}${valueText(match.right, facts)}`;
}

/** Why a condition does not hold: `port is 80`, `203.0.113.5 is not in it`. */
export function insteadText(statement: Statement, facts: Facts): string {
  if (!('match' in statement)) return 'it did not hold';
  const { left, right } = statement.match;
  const has = valueIn(left, facts);
  if (has === undefined) return 'it does not hold';
  if (isSet(right)) return `${has.value} is ${statement.match.op === '!=' ? '' : 'not '}in it`;
  return `${has.name} is ${has.value}`;
}

const isSet = (right: Expression): right is string => typeof right === 'string' && right.startsWith('@');

const subjects: Readonly<Record<string, string>> = {
  saddr: 'from',
  daddr: 'to',
  dport: 'port',
  sport: 'sport',
  iifname: 'in',
  oifname: 'out',
  l4proto: 'proto',
  nfproto: 'family',
  state: 'state',
  flags: 'flags',
  mark: 'mark',
};

function subjectOf(left: Expression): string | undefined {
  const field = fieldOf(left);
  if (field === undefined) return undefined;
  const { of, key } = field;
  if (key === 'dport' && (of === 'tcp' || of === 'udp')) return of;
  return of === 'icmp' || of === 'icmpv6' ? `icmp ${key}` : subjects[key];
}

/** What an expression reads, through masks: protocol or source, and field. */
function fieldOf(left: Expression): { of: string; key: string } | undefined {
  if (typeof left !== 'object') return undefined;
  if ('payload' in left && 'protocol' in left.payload) return { of: left.payload.protocol, key: left.payload.field };
  if ('meta' in left) return { of: 'meta', key: left.meta.key };
  if ('ct' in left) return { of: 'ct', key: left.ct.key };
  if ('&' in left) return fieldOf(left['&'][0]);
  return undefined;
}

function valueText(right: Expression, facts: Facts): string {
  if (isSet(right)) return setText(right.slice(1), facts.manifest);
  if (typeof right === 'string') return facts.alias(right);
  if (typeof right !== 'object') return String(right);
  if ('set' in right) return right.set.map((one) => valueText(one, facts)).join(', ');
  if ('range' in right) return right.range.map((one) => valueText(one, facts)).join('-');
  if ('prefix' in right) return `${valueText(right.prefix.addr, facts)}/${right.prefix.len}`;
  if ('|' in right) return right['|'].map((one) => valueText(one, facts)).join(',');
  return JSON.stringify(right);
}

/** `<office>` for the sets of a table, `wan:network` for those of an interface. */
function setText(name: string, { sets }: Manifest): string {
  const set = sets.find((one) => one.name === name);
  return set?.role.kind === 'table' || set?.role.kind === 'interface' ? setLabel(set) : `@${name}`;
}

interface Named {
  readonly name: string;
  readonly value: string;
}

/** What the packet has where the expression looks. */
function valueIn(left: Expression, facts: Facts): Named | undefined {
  const field = fieldOf(left);
  return field && (packetValue(field.key, facts) ?? metaValue(field, facts));
}

function packetValue(key: string, { packet }: Facts): Named | undefined {
  const ports = portsOf(packet);
  switch (key) {
    case 'saddr':
      return { name: 'source', value: formatAddress(packet.source) };
    case 'daddr':
      return { name: 'destination', value: formatAddress(packet.destination) };
    case 'dport':
      return ports && { name: 'port', value: String(ports.destinationPort) };
    case 'sport':
      return ports && { name: 'source port', value: String(ports.sourcePort) };
    case 'flags':
      return packet.tcp && { name: 'it', value: `tcp ${flagNames(packet.tcp.flags)}` };
    case 'l4proto':
      return { name: 'it', value: formatProtocol(packet.protocol) };
    case 'type':
      if (packet.icmp === undefined) return { name: 'it', value: formatProtocol(packet.protocol) };
      return { name: 'type', value: String(packet.icmp.type) };
    default:
      return undefined;
  }
}

function metaValue({ of, key }: { of: string; key: string }, facts: Facts): Named | undefined {
  const { packet, outcome, device, alias } = facts;
  switch (key) {
    case 'iifname':
      return { name: 'it', value: device === undefined ? 'our own' : `in ${alias(device)}` };
    case 'nfproto':
      return { name: 'it', value: packet.source.family === 4 ? 'IPv4' : 'IPv6' };
    case 'state':
      return { name: 'state', value: outcome.state };
    case 'mark':
      return of === 'meta' ? { name: 'mark', value: `0x${outcome.mark.toString(16)}` } : undefined;
    case 'dport':
    case 'sport':
    case 'flags':
      return { name: 'it', value: formatProtocol(packet.protocol) };
    default:
      return undefined;
  }
}
