/**
 * Probes: two chains at each hook, the first and the last thing that a packet meets there. They switch tracing on, show
 * how far a packet came, and that an accepted one was accepted by everybody. They live in tables of their own.
 *
 * Each has one rule, which accepts: that is one message of the trace, and a chain's end would be two. A message costs some
 * 5 µs of the 100 that a packet takes.
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
 * nft text of the probes for what is loaded beside them: a hook with nothing else needs no two.
 * @param devices those with probes at ingress, and at egress when there is anything else
 */
export function probeText(devices: readonly string[], loaded: string): string {
  const isUsed = (hook: Hook): boolean => new RegExp(`\\bhook ${hook}\\b`).test(loaded);
  const inet = table(
    'inet',
    inetHooks.flatMap((hook) => chains(hook, '', isUsed(hook))),
  );
  if (devices.length === 0) return inet;
  const list = `devices = { ${devices.map((name) => `"${name}"`).join(', ')} } `;
  // Behind the last probe of postrouting nothing else decides about a packet.
  const hooks = deviceHooks.filter((hook) => hook !== 'egress' || isUsed(hook));
  return (
    inet +
    table(
      'netdev',
      hooks.flatMap((hook) => chains(hook, list, isUsed(hook))),
    )
  );
}

const table = (family: string, chains: readonly string[]): string =>
  `table ${family} ${PROBE_TABLE} {\n${chains.join('')}}\n`;

/** Our own fragments wait for each other behind the first probe of output: without it nothing would be seen of them. */
function chains(hook: Hook, devices: string, isUsed: boolean): string[] {
  const begin = beginnings.has(hook) ? 'meta nftrace set 1 accept' : 'accept';
  if (!isUsed && hook !== 'output') return [chain(`${hook}_last`, hook, devices, LAST, begin)];
  return [chain(`${hook}_first`, hook, devices, FIRST, begin), chain(`${hook}_last`, hook, devices, LAST, 'accept')];
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
