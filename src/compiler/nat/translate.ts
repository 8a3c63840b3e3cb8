/** `masquerade`, `snat`, `dnat`, `redirect`. */

import { addressOf } from '../../extensions/address-field.js';
import type { ActionFragment, Line } from '../../extensions/fragment.js';
import type { AddressRange, Family } from '../../net/address.js';
import { formatAddress } from '../../net/address.js';
import { concat, dnat, jhash, lookup, masquerade, numgen, payload, range, redirect, snat } from '../../nft/build.js';
import type { Expression, NatTarget, Statement } from '../../nft/model.js';
import type { Action, Choice, Match, NumberRange } from '../../policy/ast.js';
import { protocolName } from '../line.js';
import type { RuleSite } from '../site.js';
import { bothFamilies } from '../weave.js';

type Translate = Extract<Action, { action: 'masquerade' | 'snat' | 'dnat' | 'redirect' }>;
type PortMatch = Extract<Match, { word: 'tcp' | 'udp' | 'port' | 'sport' }>;

/** A map of more ports than this is a mistake. */
const mostPorts = 4096;
/** A table of more targets than this is none of servers. */
const mostTargets = 256;
/** Any number; another one would send hosts to other servers at a reload. */
const hashSeed = 0x706f7374;

const word = (family: Family): 'ip' | 'ip6' => (family === 4 ? 'ip' : 'ip6');

/** A translation ends the rule for its packet. */
function translation(lines: readonly Line[], families: readonly Family[]): ActionFragment {
  return { lines, families, inline: lines.length === 1, final: true };
}

const one = (family: Family, statement: Statement, protocols?: readonly number[]): ActionFragment =>
  translation([{ family, statements: [statement], ...(protocols && { protocols }) }], [family]);

export function source(action: Translate, site: RuleSite): ActionFragment {
  const protocols = action.port === undefined ? undefined : portProtocols(site);
  const port = action.port && { port: range(action.port.first, action.port.last) };
  const flags = action.sticky ? { flags: ['persistent'] as const } : {};
  if (action.action === 'masquerade') {
    const families = masqueradeFamilies(site);
    const to: NatTarget = { ...port, ...flags };
    const lines = families.map((family): Line => {
      return { family, statements: [masquerade(to)], ...(protocols && { protocols }) };
    });
    const both: Line = { statements: [masquerade(to)], ...(protocols && { protocols }) };
    return translation(families.length === 2 ? [both] : lines, families);
  }
  const to = action.to!;
  return one(to.family, snat({ family: word(to.family), addr: ends(to), ...port, ...flags }), protocols);
}

/** IPv4 alone unless the rule says otherwise: nobody needs to hide IPv6 behind one address by accident. */
function masqueradeFamilies(site: RuleSite): readonly Family[] {
  const { ast, rule } = site;
  if (ast.matches.some(({ word }) => word === 'family') || rule.families.length === 1) return rule.families;
  site.note('masquerade translates IPv4 alone; "family: ipv6" in a rule of its own translates IPv6');
  return [4];
}

export function destination(action: Translate, site: RuleSite): ActionFragment {
  if (action.table !== undefined) return balanced(action, action.table, site);
  const to = action.to!;
  if (to.family === 4 && to.first >> 24n === 127n) {
    site.warn(
      'packets from outside reach 127.0.0.0/8 only if net.ipv4.conf.DEVICE.route_localnet is 1',
      'use redirect, and let the service listen on the address of the device',
    );
  }
  const { family } = to;
  const shift = portShift(action.port, site);
  if (shift === undefined) return one(family, dnat({ family: word(family), addr: ends(to) }));
  if (shift.map === undefined) {
    return one(family, dnat({ family: word(family), addr: ends(to), port: shift.port! }), shift.protocols);
  }
  if (to.first !== to.last) return site.refuse('a range of ports can be shifted to one address only');
  const address = formatAddress({ family, value: to.first });
  const targets = shift.map.map(([from, port]) => [from, concat(address, port)] as const);
  return one(family, dnat({ family: word(family), addr: lookup(shift.field, targets) }), shift.protocols);
}

export function redirection(action: Translate, site: RuleSite): ActionFragment {
  const shift = portShift(action.port, site);
  // Without a shift the ports are those that the packets have already.
  const port = shift && (shift.map === undefined ? shift.port : lookup(shift.field, shift.map));
  const statement = redirect(port === undefined ? {} : { port });
  const { families } = site.rule;
  return translation([{ statements: [statement], ...(shift && { protocols: shift.protocols }) }], families);
}

interface PortShift {
  readonly protocols: readonly number[];
  readonly field: Expression;
  /** One port for all. */
  readonly port?: Expression;
  /** One port for each. */
  readonly map?: readonly (readonly [number, number])[];
}

/**
 * Ports of the target: one for all, or as many as the rule matches, one for each. nft would take a range as a pool.
 * @returns undefined when the ports stay as they are.
 */
function portShift(to: NumberRange | undefined, site: RuleSite): PortShift | undefined {
  if (to === undefined) return undefined;
  const protocols = portProtocols(site);
  const field = payload(protocols.length > 1 ? 'th' : String(protocolName(protocols[0]!)), 'dport');
  if (to.first === to.last) return { protocols, field, port: to.first };
  const from = matchedPorts(site);
  if (from.first === to.first) return undefined;
  const length = to.last - to.first + 1;
  if (length > mostPorts) site.refuse(`${length} ports are too many to shift one by one`, `${mostPorts} are the most`);
  const map = Array.from({ length }, (_, index) => [from.first + index, to.first + index] as const);
  return { protocols, field, map };
}

/** The one range of destination ports that the rule matches, as the reader has seen to. */
function matchedPorts({ ast }: RuleSite): NumberRange {
  const isPorts = (match: Match): match is PortMatch => ['tcp', 'udp', 'port'].includes(match.word);
  const ports = ast.matches.find(isPorts)!.ports as Choice<NumberRange>;
  return ports.any[0]!;
}

/** A rule with ports is limited to protocols that have them. */
const portProtocols = ({ rule }: RuleSite): readonly number[] => rule.protocols!;

/** Spreads connections over the hosts that the table has in the policy. */
function balanced({ port, pick = 'round-robin' }: Translate, name: string, site: RuleSite): ActionFragment {
  const decl = site.policy.tables.get(name)!;
  const ranges = decl.entries.filter(({ not }) => !not).map(({ range }) => range);
  if (decl.entries.some(({ not }) => not)) site.refuse(`<${name}> has exceptions; a table of targets can't`);
  const families = bothFamilies.filter((family) => ranges.some((range) => range.family === family));
  if (families.length === 0) {
    return site.refuse(
      `<${name}> has no hosts in the policy to translate to`,
      'list them as its entries; what is added while running is not used',
    );
  }
  if (port !== undefined && port.first !== port.last) site.refuse('several targets take one port, or none');
  const protocols = port && portProtocols(site);
  const lines = families.map((family): Line => {
    const hosts = ranges.filter((range) => range.family === family).flatMap((range) => hostsOf(range, site));
    const entries = hosts.map((host, index) => [index, host] as const);
    const addr = hosts.length === 1 ? hosts[0]! : lookup(choose(pick, hosts.length, family), entries);
    const to: NatTarget = { family: word(family), addr, ...(port && { port: port.first }) };
    return { family, statements: [dnat(to)], ...(protocols && { protocols }) };
  });
  site.note(`<${name}> is used as it stands in the policy; changes at run time come with the next reload`);
  return translation(lines, families);
}

function choose(pick: 'round-robin' | 'random' | 'source-hash', mod: number, family: Family): Expression {
  if (pick === 'source-hash') return jhash(addressOf('source', family), mod, hashSeed);
  return numgen(pick === 'random' ? 'random' : 'inc', mod);
}

function hostsOf({ family, first, last }: AddressRange, site: RuleSite): string[] {
  const count = last - first + 1n;
  if (count > BigInt(mostTargets)) {
    site.refuse(
      `more than ${mostTargets} targets`,
      `write dnat to ${rangeText({ family, first, last })} without a table`,
    );
  }
  return Array.from({ length: Number(count) }, (_, index) => formatAddress({ family, value: first + BigInt(index) }));
}

const rangeText = ({ family, first, last }: AddressRange): string =>
  `${formatAddress({ family, value: first })}-${formatAddress({ family, value: last })}`;

/** A pool stands as first and last address: nft takes no prefix here. */
function ends({ family, first, last }: AddressRange): Expression {
  const text = (value: bigint) => formatAddress({ family, value });
  return range(text(first), text(last));
}
