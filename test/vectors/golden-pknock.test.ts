/**
 * Compiled knocks against what the kernel module did, with real packets through the real kernel, in both families. Time
 * runs ten times as fast. Needs root.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { ping, type ScratchWorld, scratchWorld, tcp, udp } from '../kernel/scratch-world.js';

interface Event {
  readonly event: string;
  /** By rule: 1 when it matched this packet. */
  readonly hits?: readonly number[];
}

interface Scenario {
  readonly label: string;
  readonly rules: readonly { readonly rule: string }[];
  readonly events: readonly Event[];
}

const folder = process.env.POSTERN_GOLDEN ?? fileURLToPath(new URL('../../../test/vectors/golden', import.meta.url));
const { scenarios } = JSON.parse(readFileSync(join(folder, 'pknock.json'), 'utf8')) as { scenarios: Scenario[] };

const faster = 10;

const option = (rule: string, name: string) => new RegExp(`--${name} (\\S+)`).exec(rule)?.[1];

/** Why a scenario can't come out the same, told from its rules and events. */
const differences: Readonly<Record<string, (scenario: Scenario) => boolean>> = {
  'signed datagrams go to the daemon, and the file has no payloads': ({ rules }) =>
    rules.some(({ rule }) => rule.includes('--opensecret')),
  'a name has one sequence': ({ rules }) => rules.filter(({ rule }) => rule.includes('--knockports')).length > 1,
  'knocks are heard before the rule, whatever port the rule is for': ({ rules }) =>
    rules.some(({ rule }) => rule.includes('--dport')),
  'the time limit holds for every knock and is exact': ({ rules, events }) => {
    const timeS = Number(option(rules[0]!.rule, 'time'));
    const ports = option(rules[0]!.rule, 'knockports')!.split(',');
    const pauses = events.flatMap(({ event }, index) => {
      const [, seconds] = /^sleep ([0-9.]+) s/.exec(event) ?? [];
      return seconds === undefined ? [] : [{ seconds: Number(seconds), next: events[index + 1]?.event ?? '' }];
    });
    const isLast = (event: string) => event.includes(`dport ${ports.at(-1)} `);
    return pauses.some(({ seconds, next }) => seconds === timeS || (seconds > timeS && isLast(next)));
  },
};

const bits: Readonly<Record<string, number>> = {
  F: FLAG_BIT.FIN,
  S: FLAG_BIT.SYN,
  R: FLAG_BIT.RST,
  P: FLAG_BIT.PSH,
  A: FLAG_BIT.ACK,
  U: FLAG_BIT.URG,
};

function policyOf({ rules }: Scenario): string {
  const { rule } = rules[0]!;
  const autoclose = option(rule, 'autoclose');
  const words = [
    `ports: [${option(rule, 'knockports')}]`,
    `time: ${(Number(option(rule, 'time')) * 1000) / faster}ms`,
    `protocol: ${rule.includes('-p udp') ? 'udp' : 'tcp'}`,
    ...(rule.includes('--strict') ? ['strict: true'] : []),
    ...(autoclose === undefined ? [] : [`autoclose: ${(Number(autoclose) * 60_000) / faster}ms`]),
  ];
  return `
version: 1
hygiene: off
knocks: { K: { ${words.join(', ')} } }
chains: { input: { policy: drop, rules: [ { knock: K, do: accept } ] } }
`;
}

function packetOf(event: string, source: string, target: string): Packet | undefined {
  if (event.startsWith('icmp')) return ping(source, target);
  const [, protocol, port, flags = ''] = /^(tcp|udp) dport (\d+)(?: flags ([A-Z]*))?/.exec(event) ?? [];
  if (protocol === 'udp') return udp(source, target, Number(port), new Uint8Array(1));
  if (protocol !== 'tcp') return undefined;
  return tcp(
    source,
    target,
    Number(port),
    [...flags].reduce((all, flag) => all | bits[flag]!, 0),
  );
}

const hosts = {
  4: { own: '203.0.113.7', other: '203.0.113.250', target: '192.0.2.1' },
  6: { own: '2001:db8:9::7', other: '2001:db8:9::250', target: '2001:db8::1' },
} as const;

/** Answers how many packets were compared. */
async function play(world: ScratchWorld, scenario: Scenario, family: 4 | 6): Promise<number> {
  const { own, other, target } = hosts[family];
  await world.policy(policyOf(scenario));
  const inside = new Set<string>();
  let compared = 0;
  for (const { event, hits = [] } of scenario.events) {
    const [, seconds] = /^sleep ([0-9.]+) s/.exec(event) ?? [];
    if (seconds !== undefined) await sleep((Number(seconds) * 1000) / faster);
    const source = event.includes('another source') ? other : own;
    const packet = packetOf(event, source, target);
    if (packet === undefined) continue;
    const { verdict, out } = await world.send('wan', packet);
    // The last knock opens, and is itself let through by checkip alone; here by nothing.
    const theirs = hits.at(-1) === 1 && inside.has(source);
    if (hits.at(-1) === 1) inside.add(source);
    assert.equal(verdict === 'accept', theirs, `${scenario.label}, IPv${family}: ${event}`);
    if (!theirs) assert.deepEqual(out, [], `${event} was answered`);
    compared++;
  }
  return compared;
}

test('compiled knocks do with real packets what the kernel module did', async (t) => {
  const world = await scratchWorld({ after });
  let compared = 0;
  let differing = 0;
  for (const scenario of scenarios) {
    const reason = Object.entries(differences).find(([, differs]) => differs(scenario))?.[0];
    if (reason !== undefined) {
      t.diagnostic(`differs on purpose: "${scenario.label}": ${reason}`);
      differing++;
      continue;
    }
    for (const family of [4, 6] as const) compared += await play(world, scenario, family);
  }
  t.diagnostic(`pknock: ${scenarios.length} scenarios, ${differing} differ on purpose, ${compared} packets compared`);
  assert.ok(compared > 0);
});
