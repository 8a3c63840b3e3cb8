/** ipv4options against what the recorded module matched, by packets through the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { matchHost } from '../kernel/match-host.js';
import { udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { type OptionsAsked, turnsOnNop, withNop } from './option-flags.js';
import { readOriginal, yamlKeys } from './original-rule.js';
import { RowRun, resultsIn } from './row-run.js';
import { given, refuses, replayUsage, type UsageRow } from './usage.js';

interface Golden {
  readonly usage: readonly UsageRow[];
  readonly tables: readonly {
    readonly rules: readonly string[];
    readonly rows: readonly { readonly packet: string; readonly hits: readonly number[] }[];
  }[];
  /** The options area of each packet of the rows. */
  readonly option_bytes: Readonly<Record<string, string>>;
}

interface Case {
  readonly rule: string;
  readonly options: Buffer;
}

const golden = loadGolden<Golden>('ipv4options');
const host = await matchHost({ after });

const differences = {
  'nop is seen': {
    reason: 'the original passes over nop, so that a flag of it says nothing',
    applies: (one: Case) => turnsOnNop(asked(one)),
    expected: (one: Case) => Number(withNop(asked(one))),
  },
};

function asked({ rule, options }: Case): OptionsAsked {
  return { flags: / --flags (\S+)/.exec(rule)?.[1]?.split(',') ?? [], any: rule.includes(' --any'), options };
}

function optionsOf(packet: string): Buffer {
  const bytes = golden.option_bytes[packet] ?? (packet === 'none' ? '' : undefined);
  assert.notEqual(bytes, undefined, `the options of "${packet}" are not recorded`);
  return Buffer.from(bytes!, 'hex');
}

test('ipv4options takes the packets that the recorded module took', async (t) => {
  const run = new RowRun<Case>(differences);
  for (const { rules, rows } of golden.tables) {
    const read = rules.map((rule) => readOriginal(rule, 'ipv4options').match);
    await host.rules(
      'prerouting',
      read.map((match) => yamlKeys(match ?? { family: 'ipv6' })),
    );
    for (const { packet, hits } of rows) {
      const options = optionsOf(packet);
      const found = await host.hits({ ...udp('203.0.113.5', '192.0.2.1', 999), options });
      for (const [index, rule] of rules.entries()) {
        run.check(`${packet} in ${rule}`, { rule, options }, found[index], hits[index]);
      }
    }
  }
  run.end(t, resultsIn(golden.tables));
});

const usageDifferences = {
  'numbers that are nothing': refuses(
    'the original takes numbers modulo 32, and those of which nothing is left ask for nothing',
    (command) =>
      (given(command, 'flags') ?? '')
        .split(',')
        .some((flag) => /^!?[1-9][0-9]*$/.test(flag) && Number(flag.replace('!', '')) % 32 === 0),
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage, usageDifferences);
});
