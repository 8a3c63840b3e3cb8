/**
 * Probes: two chains at each hook, the first and the last thing that a packet meets there. They switch tracing on, show
 * how far a packet came, and that an accepted one was accepted by everybody. They live in tables of their own.
 *
 * Each has one rule, which accepts: that is one message of the trace. A chain's end is two, and a packet that is answered
 * meets fourteen probes.
 */

import type { Hook } from '../nft/model.js';

export const PROBE_TABLE = 'postern_probe';

const FIRST = -2147483648;
const LAST = 2147483647;

export interface Probe {
  readonly hook: Hook;
  readonly end: 'first' | 'last';
}

/** Hooks where packets begin their way: there tracing is switched on. */
const beginnings: ReadonlySet<Hook> = new Set(['ingress', 'prerouting', 'output', 'egress']);
const inetHooks: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];
const deviceHooks: readonly Hook[] = ['ingress', 'egress'];

/**
 * nft text of the probes for what is loaded beside them.
 * @param devices those with probes at ingress, and at egress when there is anything else
 */
export function probeText(devices: readonly string[], loaded: string): string {
  const inet = table('inet', inetHooks, '');
  if (devices.length === 0) return inet;
  const list = `devices = { ${devices.map((name) => `"${name}"`).join(', ')} } `;
  // Behind the last probe of postrouting nothing else decides about a packet.
  const hooks = deviceHooks.filter((hook) => hook !== 'egress' || /\bhook egress\b/.test(loaded));
  return inet + table('netdev', hooks, list);
}

function table(family: string, hooks: readonly Hook[], devices: string): string {
  const chains = hooks.flatMap((hook) => [
    chain(`${hook}_first`, hook, devices, FIRST, beginnings.has(hook) ? 'meta nftrace set 1 accept' : 'accept'),
    chain(`${hook}_last`, hook, devices, LAST, 'accept'),
  ]);
  return `table ${family} ${PROBE_TABLE} {\n${chains.join('')}}\n`;
}

const chain = (name: string, hook: Hook, devices: string, priority: number, rule: string): string =>
  `  chain ${name} {\n    type filter hook ${hook} ${devices}priority ${priority};\n    ${rule}\n  }\n`;

const probes: ReadonlyMap<string, Probe> = new Map(
  [...inetHooks, ...deviceHooks].flatMap((hook) =>
    (['first', 'last'] as const).map((end): [string, Probe] => [`${hook}_${end}`, { hook, end }]),
  ),
);

/** Which probe a chain of the probe table is. */
export function probeOf(chain: string): Probe | undefined {
  return probes.get(chain);
}
