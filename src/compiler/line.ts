/** From a line of a fragment to an nft rule: the guards that the line needs come in front. */

import type { Line } from '../extensions/fragment.js';
import type { Family } from '../net/address.js';
import { match, meta, oneOf } from '../nft/build.js';
import type { Origin, Rule, Statement, TableFamily } from '../nft/model.js';

export function ruleOf(line: Line, origin: Origin, table: TableFamily, comment?: string): Rule {
  const statements = [...protocolGuard(line), ...line.statements];
  return {
    statements: [...familyGuard(line.family, statements, table), ...statements],
    ...(comment !== undefined && { comment }),
    origin,
  };
}

/** One line behind another as one; their families agree. */
export function joinLines(before: Line, behind: Line): Line {
  const family = before.family ?? behind.family;
  const protocols = before.protocols ?? behind.protocols;
  const statements = before.statements.concat(behind.statements);
  if (family === undefined && protocols === undefined) return { statements };
  return { ...(family !== undefined && { family }), ...(protocols !== undefined && { protocols }), statements };
}

export const isFor = (line: Line, family: Family): boolean => line.family === undefined || line.family === family;

/** Header fields that only packets of one family have: nft adds the check by itself. */
const familyOfProtocol = new Map<string, Family>([
  ['ip', 4],
  ['icmp', 4],
  ['ip6', 6],
  ['icmpv6', 6],
]);

function familyGuard(family: Family | undefined, statements: readonly Statement[], table: TableFamily): Statement[] {
  if (family === undefined || reads(guarding(statements), (node) => impliedFamily(node) === family)) return [];
  // To netdev every packet is of netdev.
  if (table === 'netdev') return [match(meta('protocol'), family === 4 ? 'ip' : 'ip6')];
  return [match(meta('nfproto'), family === 4 ? 'ipv4' : 'ipv6')];
}

function impliedFamily(node: object): Family | undefined {
  if ('exthdr' in node) return 6;
  if ('ip option' in node) return 4;
  return familyOfProtocol.get(protocolOf(node) ?? '');
}

function protocolGuard({ protocols, statements }: Line): Statement[] {
  if (protocols === undefined || reads(guarding(statements), saysProtocol)) return [];
  return [match(meta('l4proto'), oneOf(protocols.map(protocolName)))];
}

const transport = new Set(['tcp', 'udp', 'udplite', 'sctp', 'dccp', 'icmp', 'icmpv6']);
const saysProtocol = (node: object): boolean => transport.has(protocolOf(node) ?? '') || isL4proto(node);

const isL4proto = (node: unknown): boolean =>
  typeof node === 'object' &&
  node !== null &&
  'meta' in node &&
  (node as { meta: { key?: unknown } }).meta.key === 'l4proto';

function protocolOf(node: object): string | undefined {
  if (!('payload' in node)) return undefined;
  const { protocol } = node.payload as { protocol?: string };
  return protocol;
}

/**
 * Of several protocols that a rule names nft keeps the last one in mind, and then refuses fields of the others: such
 * fields belong into another rule.
 */
export const agreesOnProtocol = ({ statements }: Line): boolean =>
  !statements.some(namesProtocols) || !reads(statements, (node) => transport.has(protocolOf(node) ?? ''));

function namesProtocols(statement: Statement): boolean {
  if (!('match' in statement)) return false;
  const { left, op, right } = statement.match;
  return op === '==' && isL4proto(left) && typeof right === 'object' && 'set' in right;
}

/** nft puts a check in front of the statement that needs it: what is done before is done to all packets. */
function guarding(statements: readonly Statement[]): readonly Statement[] {
  const first = statements.findIndex((statement) => !('match' in statement));
  return first < 0 ? statements : statements.slice(0, first + 1);
}

/** Does anything in the statements satisfy the test? */
function reads(node: unknown, test: (node: object) => boolean): boolean {
  if (typeof node !== 'object' || node === null) return false;
  return (!Array.isArray(node) && test(node)) || Object.values(node).some((inner) => reads(inner, test));
}

const names = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'ipv6-icmp'],
  [132, 'sctp'],
  [136, 'udplite'],
]);

/** A protocol as `meta l4proto` takes and lists it. */
export const protocolName = (protocol: number): string | number => names.get(protocol) ?? protocol;
