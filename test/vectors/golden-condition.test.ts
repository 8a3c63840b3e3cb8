/** Conditions against the recorded module: what was written, and which rules took the next packet. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ruleBed } from '../kernel/rule-bed.js';
import { udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { given, refuses, replayUsage, takes, type UsageRow } from './usage.js';

interface Golden {
  readonly events: readonly {
    readonly write: string | null;
    readonly read: string;
    readonly 'hits[condition, ! condition]': readonly number[];
  }[];
  readonly usage: readonly UsageRow[];
  readonly lifetime: readonly { readonly action: string; readonly ls: string; readonly flag: string }[];
}

const golden = loadGolden<Golden>('condition');
const source = { kind: 'cli', id: 'test' } as const;

const policy = (name: string) => `
version: 1
hygiene: off
conditions: { ${name}: off }
chains:
  input:
    policy: drop
    rules:
      - { condition: ${name}, do: count }
      - { condition: not ${name}, do: count }
`;

/** The file takes the first character, and ignores what is neither 0 nor 1; here that never becomes a request. */
const written = (text: string): boolean | undefined => (text[0] === '1' ? true : text[0] === '0' ? false : undefined);

test('rules see a condition as the recorded module showed it, in both families', async (t) => {
  const bed = await ruleBed({ after }, policy('flag'));
  const { conditions } = bed.bench.engine;
  let ignored = 0;
  for (const { write, read, 'hits[condition, ! condition]': hits } of golden.events) {
    const state = write === null ? undefined : written(write);
    if (state !== undefined) await conditions.set(new Map([['flag', state]]), source);
    else if (write !== null) ignored++;
    assert.deepEqual(await conditions.list(), [{ name: 'flag', on: read === '1\n' }], JSON.stringify(write));
    for (const [from, to] of [
      ['127.0.0.2', '127.0.0.1'],
      ['::1', '::1'],
    ] as const) {
      assert.deepEqual(await bed.send(udp(from, to, 9)), hits, `${JSON.stringify(write)} ${from}`);
    }
  }
  t.diagnostic(
    `compared ${golden.events.length}, of which ${ignored} wrote what is no state: a request must say on or off`,
  );
  assert.ok(golden.events.length > 0);
});

/** A name that the original takes. */
const isTheirs = (name: string): boolean => /^[^/]{1,30}$/.test(name) && !/^\.{1,2}$/.test(name);
const isName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name);
const usageDifferences = {
  'names of one more character': takes('names have up to 31 characters, one more than the original', (command) => {
    const name = given(command, 'condition') ?? '';
    return isName(name) && name.length === 31;
  }),
  'names of other characters': refuses(
    'names begin with a letter or "_" and have letters, digits, "_", "." and "-"',
    (command) => isTheirs(given(command, 'condition') ?? '') && !isName(given(command, 'condition') ?? ''),
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage, usageDifferences);
});

/** What is done to rules of the recording, as rules of ours: how many there are then; none at all: the policy has no such condition. */
function rulesAfter(action: string, before: number): number | undefined {
  if (/^set [01]$|^save\|restore$/.test(action)) return before;
  if (/^(second|third|another) rule|^ip6?tables rule|^re-added$/.test(action)) return before + 1;
  if (/^(one|first|second) rule deleted$|^v4 rules flushed$/.test(action)) return Math.max(1, before - 1);
  return /flushed$/.test(action) ? 0 : undefined;
}

test('a condition lives as long as the recorded one', async (t) => {
  const policyOf = (rules: number) =>
    rules === 0
      ? 'version: 1\nchains: { input: { rules: [] } }\n'
      : `version: 1\nconditions: { flag: off }\nchains:\n  input:\n    rules:\n${'      - { condition: flag, do: count }\n'.repeat(rules)}`;
  let rules = 2;
  const bed = await ruleBed(t, policyOf(rules));
  const { conditions } = bed.bench.engine;
  let [compared, leftOut] = [0, 0];
  for (const { action, ls, flag } of golden.lifetime) {
    const next = rulesAfter(action, rules);
    if (next === undefined) {
      t.diagnostic(`not replayed: ${action}`);
      leftOut++;
      continue;
    }
    rules = next;
    const [, on] = /^set ([01])$/.exec(action) ?? [];
    if (on === undefined) await bed.policy(policyOf(rules));
    else await conditions.set(new Map([['flag', on === '1']]), source);
    const expected = ls === '' ? [] : [{ name: 'flag', on: flag === '1\n' }];
    assert.deepEqual(await conditions.list(), expected, action);
    compared++;
  }
  t.diagnostic(`compared ${compared} states`);
  assert.ok(compared > 0);
  assert.equal(compared + leftOut, golden.lifetime.length);
});
