/** Policy tables as kernel ipsets, for rules of iptables that say `-m set`. */

import { formatRange } from '../net/prefix.js';
import { formatProtocol } from '../net/protocol.js';
import type { Policy, TableDecl } from '../policy/ast.js';
import { ipsetName } from '../policy/sections/ipset.js';
import { type Draft, refuse } from './draft/draft.js';
import type { ManifestIpset } from './plan.js';
import { bothFamilies } from './weave.js';

/** The ipsets of all tables that have them. */
export function ipsetsOf({ tables }: Pick<Policy, 'tables'>): ManifestIpset[] {
  return [...tables.values()].flatMap(tableIpsets);
}

/** Everything that makes one ipset another: `hash:net family inet timeout 0 counters comment maxelem 65536`. */
export function describeIpset({ name, type, family, size, ports = [], range, ...flags }: ManifestIpset): string {
  const words = (['timeout', 'counters', 'comment', 'skbinfo'] as const).filter((word) => flags[word]);
  return [
    `create ${name} ${type} family ${family === 4 ? 'inet' : 'inet6'}`,
    ...words,
    range === undefined ? `maxelem ${size}` : `range ${formatRange(range)}`,
    ...ports.map(({ protocol, port }) => `${formatProtocol(protocol)}:${port}`),
  ].join(' ');
}

/** Two tables may not mean the same ipset. */
export function checkIpsets({ policy }: Draft): void {
  const owners = new Map<string, string>();
  for (const decl of policy.tables.values()) {
    for (const { name } of tableIpsets(decl)) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        refuse(decl.at, `the ipset ${name} is of table "${owner}" and of table "${decl.name}"`, 'rename one of them');
      }
      owners.set(name, decl.name);
    }
  }
}

function tableIpsets({ name, ipset, size, counters }: TableDecl): ManifestIpset[] {
  if (ipset === undefined) return [];
  // A bitmap has IPv4 addresses alone.
  const families = ipset.range === undefined ? bothFamilies : [4 as const];
  const tier = ipset.type === 'hash:net' ? 'prefixes' : 'hosts';
  return families.map((family) => ({
    name: ipsetName(name, family),
    timeout: true,
    counters,
    size,
    family,
    ...ipset,
    role: { kind: 'table', tier, table: name, family },
  }));
}
