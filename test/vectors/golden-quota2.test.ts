/** Quotas against the recorded module: each packet through the real kernel, with the daemon's look between. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { quota2Write } from '../../src/extensions/models/quota2.js';
import { mostInQuota } from '../../src/extensions/quota-names.js';
import { ruleBed } from '../kernel/rule-bed.js';
import { udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { replayUsage, type UsageRow } from './usage.js';

interface Scenario {
  readonly label: string;
  readonly rules: readonly { readonly rule: string; readonly rc: number }[];
  readonly initial: { readonly proc: string };
  readonly packets: readonly {
    readonly ip_bytes: number;
    readonly matched: readonly number[];
    readonly proc: string;
    readonly written_before?: string;
  }[];
}
interface Golden {
  readonly usage: readonly UsageRow[];
  readonly lifetime: readonly { readonly action: string; readonly ls: string; readonly value: string }[];
  readonly scenarios: readonly Scenario[];
  readonly proc_writes: readonly { readonly before: string; readonly write: string; readonly after: string }[];
  readonly write_100_bytes_returned: number;
}

const golden = loadGolden<Golden>('quota2');
const source = { kind: 'cli', id: 'test' } as const;

const has = (rule: string, option: string) => rule.includes(`--${option}`);
const nameOf = (rule: string, index: number) => /--name (\S+)/.exec(rule)?.[1] ?? `anonymous${index}`;
const amountOf = (rule: string) => BigInt(/--quota (\d+)/.exec(rule)?.[1] ?? '0');
const isNegated = (rule: string) => rule.includes('! --quota');

/** Why a scenario can't be compared, told from its own fields. */
const differences: Readonly<Record<string, (scenario: Scenario) => boolean>> = {
  'no rule was taken': ({ rules }) => rules.every(({ rc }) => rc !== 0),
  'amounts go to 2^53 - 1': ({ rules }) => rules.some(({ rule }) => amountOf(rule) > mostInQuota),
  'a quota is of bytes or of packets for all its rules': ({ rules }) => {
    const units = new Map<string, Set<boolean>>();
    for (const [index, { rule }] of rules.entries()) {
      const name = nameOf(rule, index);
      units.set(name, (units.get(name) ?? new Set()).add(has(rule, 'packets')));
    }
    return [...units.values()].some(({ size }) => size > 1);
  },
};

/** Only the first rule of a name says how much. */
function policyOf({ rules }: Scenario): string {
  const quotas = new Map<string, string>();
  const lines = rules.map(({ rule }, index) => {
    const name = nameOf(rule, index);
    const unit = has(rule, 'packets') ? 'packets' : 'bytes';
    if (!quotas.has(name)) quotas.set(name, `${name}: { ${unit}: ${amountOf(rule)} }`);
    const extra = [
      ...(has(rule, 'grow') ? ['grow: true'] : []),
      ...(has(rule, 'no-change') ? ['no_change: true'] : []),
    ];
    const value = `{ ${[`name: ${name}`, ...extra].join(', ')} }`;
    const negated = isNegated(rule) && !has(rule, 'grow');
    return `      - { udp: any, quota: ${negated ? `{ not: ${value} }` : value}, do: count }`;
  });
  return `
version: 1
hygiene: off
quotas: { ${[...quotas.values()].join(', ')} }
chains:
  input:
    policy: drop
    rules:
${lines.join('\n')}
`;
}

const ipHeader = 20;
const udpHeader = 8;
const datagram = (bytes: number) => udp('127.0.0.2', '127.0.0.1', 9, new Uint8Array(bytes - ipHeader - udpHeader));

test('quotas match and count as the recorded module did', async (t) => {
  const bed = await ruleBed({ after }, 'version: 1\nchains: { input: { rules: [] } }\n');
  let [scenarios, compared, differing] = [0, 0, 0];
  for (const scenario of golden.scenarios) {
    const reason = Object.entries(differences).find(([, differs]) => differs(scenario))?.[0];
    if (reason !== undefined) {
      t.diagnostic(`differs on purpose: "${scenario.label}": ${reason}`);
      differing++;
      continue;
    }
    const rules = scenario.rules.filter(({ rc }) => rc === 0);
    const name = nameOf(rules[0]!.rule, 0);
    await bed.policy('version: 1\nchains: { input: { rules: [] } }\n');
    await bed.policy(policyOf({ ...scenario, rules }));
    const { quotas } = bed.bench.engine;
    assert.equal(String((await quotas.get(name)).value), scenario.initial.proc.trim(), scenario.label);
    for (const [index, { ip_bytes: bytes, matched, proc, written_before: written }] of scenario.packets.entries()) {
      const label = `${scenario.label}, packet ${index + 1}`;
      if (written !== undefined) {
        await quotas.set(name, quota2Write((await quotas.get(name)).value, written), source);
      }
      // What the daemon does within a tenth of a second.
      await bed.bench.engine.quotas.follow();
      assert.deepEqual(await bed.send(datagram(bytes)), matched, label);
      assert.equal(String((await quotas.get(name)).value), proc.trim(), label);
      compared++;
    }
    scenarios++;
  }
  t.diagnostic(
    `quota2: ${golden.scenarios.length} scenarios, ${differing} differ on purpose, ${compared} packets compared`,
  );
  assert.ok(compared > 0);
  assert.equal(scenarios + differing, golden.scenarios.length);
});

test('what is written to a quota makes of it what it made of the recorded one', (t) => {
  for (const { before, write, after: then } of golden.proc_writes) {
    assert.equal(String(quota2Write(BigInt(before), write)), then, JSON.stringify(write));
  }
  t.diagnostic(`compared ${golden.proc_writes.length} writes`);
  assert.ok(golden.proc_writes.length > 0);
});

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage);
});

/** A policy with so many rules of a quota; with none of them it has no such quota. */
const sharing = (rules: number, amount: string, unrelated: boolean): string => `
version: 1
hygiene: off
${rules > 0 ? `quotas: { Q: { bytes: ${amount} } }` : ''}
chains:
  input:
    rules:
      - { tcp: 1, do: count }
${unrelated ? '      - { tcp: 2, do: count }\n' : ''}${'      - { udp: any, quota: Q, do: count }\n'.repeat(rules)}
`;

/** What is done to the rules of the recording, as a policy of ours: how many of them there are then. */
function rulesAfter(action: string, before: number): number | undefined {
  if (/^add rule|^re-added/.test(action)) return 1;
  if (/^unrelated rule|^iptables -Z$|^save\|restore$/.test(action)) return before;
  if (/^(second|third|another) rule/.test(action)) return before + 1;
  if (/rule deleted$/.test(action)) return Math.max(1, before - 1);
  return /flushed$/.test(action) ? 0 : undefined;
}

test('a quota lives as long as the recorded one, and what happens to rules changes nothing of it', async (t) => {
  const bed = await ruleBed(t, sharing(0, '0', false));
  const { quotas } = bed.bench.engine;
  let [rules, amount, compared, leftOut] = [0, '1000', 0, 0];
  for (const { action, ls, value } of golden.lifetime) {
    const next = rulesAfter(action, rules);
    if (next === undefined) {
      t.diagnostic(`not replayed: ${action}`);
      leftOut++;
      continue;
    }
    const isNew = /^add rule|^re-added/.test(action);
    amount = /quota (\d+)/.exec(isNew ? action : '')?.[1] ?? amount;
    if (!isNew && ls !== '') {
      // Packets between two actions aren't all recorded: what was left before is what is left after.
      if (rules === 0) await bed.policy(sharing(1, amount, false));
      await quotas.set('Q', BigInt(value), source);
    }
    rules = !isNew && ls !== '' ? Math.max(1, next) : next;
    if (isNew) await bed.policy(sharing(0, amount, false));
    await bed.policy(sharing(rules, amount, action.startsWith('unrelated')));
    if (action === 'iptables -Z') await bed.space.run('nft', 'reset', 'counters');
    const found = (await quotas.list()).map((quota) => [quota.name, String(quota.value)]);
    assert.deepEqual(found, ls === '' ? [] : [['Q', value]], action);
    compared++;
  }
  t.diagnostic(`compared ${compared} states`);
  assert.ok(compared > 0);
  assert.equal(compared + leftOut, golden.lifetime.length);
});
