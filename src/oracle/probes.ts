/**
 * Probes: two empty chains at each hook, the first and the last thing that a packet meets there. They switch tracing on,
 * show how far a packet came, and that an accepted one was accepted by everybody. They live in tables of their own.
 */

import type { Hook } from '../nft/model.js';

export const PROBE_TABLE = 'postern_probe';

const FIRST = -2147483648;
const LAST = 2147483647;

/** Hooks where packets begin their way: there tracing is switched on. */
const beginnings: ReadonlySet<Hook> = new Set(['ingress', 'prerouting', 'output', 'egress']);
const inetHooks: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];
const deviceHooks: readonly Hook[] = ['ingress', 'egress'];

/** nft text of the probes. `devices`: those with probes at ingress and egress, too. */
export function probeText(devices: readonly string[]): string {
  const inet = table('inet', inetHooks, '');
  if (devices.length === 0) return inet;
  const list = `devices = { ${devices.map((name) => `"${name}"`).join(', ')} } `;
  return inet + table('netdev', deviceHooks, list);
}

function table(family: string, hooks: readonly Hook[], devices: string): string {
  const chains = hooks.flatMap((hook) => [
    chain(`${hook}_first`, hook, devices, FIRST, beginnings.has(hook) ? 'meta nftrace set 1' : ''),
    chain(`${hook}_last`, hook, devices, LAST, ''),
  ]);
  return `table ${family} ${PROBE_TABLE} {\n${chains.join('')}}\n`;
}

const chain = (name: string, hook: Hook, devices: string, priority: number, rule: string): string =>
  `  chain ${name} {\n    type filter hook ${hook} ${devices}priority ${priority};\n    ${rule}\n  }\n`;

/** Which probe a chain of the probe table is. */
export function probeOf(chain: string): { readonly hook: Hook; readonly end: 'first' | 'last' } | undefined {
  const [hook, end] = chain.split('_');
  const known = [...inetHooks, ...deviceHooks].find((name) => name === hook);
  return known !== undefined && (end === 'first' || end === 'last') ? { hook: known, end } : undefined;
}
