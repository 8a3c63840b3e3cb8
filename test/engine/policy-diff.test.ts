import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileText } from '../../src/cli/policy-file.js';
import { emptyInventory, inventoryOf } from '../../src/engine/inventory.js';
import { inventoryDiff } from '../../src/engine/policy-diff.js';
import type { Presence } from '../../src/nft/presence.js';

const policy = `version: 1
chains:
  input:
    policy: drop
    rules:
      - { tcp: 22, do: accept }
      - { udp: 53, do: accept }
`;

function inventory(text: string) {
  return inventoryOf(compileText({ file: 'p.yaml', text }).plan);
}

/** The kernel as it is when exactly this policy is loaded. */
function presenceOf({ tables, chains, sets, objects }: ReturnType<typeof inventory>): Presence {
  return {
    tables: new Set(tables),
    chains: new Map(chains.map(({ name, base, rules }) => [name, { base, rules: rules.length }])),
    sets: new Map(sets.map(({ name }) => [name, 'set'])),
    objects: new Map(objects.map(({ name, text }) => [name, text])),
  };
}

const diff = (before: string, after: string) => {
  const old = inventory(before);
  return inventoryDiff(old, inventory(after), presenceOf(old)).map(
    ({ action, kind, text }) => `${action} ${kind} ${text}`,
  );
};

test('a line that is put above the rules is one change, not a change of every rule', () => {
  assert.deepEqual(diff(policy, `# a comment\n${policy}`), ['change rule 2 rules stand on other lines of the policy']);
});

test('a rule that changes is told apart from those that only move', () => {
  const changes = diff(policy, policy.replace('udp: 53', 'udp: 54').replace('rules:', '# here\n    rules:'));
  const rules = changes
    .filter((change) => change.includes(' rule '))
    .map((change) => change.replace(/c_input-\w+/, 'C'));
  assert.deepEqual(rules, [
    'delete rule udp dport 53 counter name "C" accept',
    'add rule udp dport 54 counter name "C" accept',
    'change rule 1 rule stands on another line of the policy',
  ]);
});

test('the same policy is no change, and everything is one against an empty kernel', () => {
  assert.deepEqual(diff(policy, policy), []);
  const nothing: Presence = { tables: new Set(), chains: new Map(), sets: new Map(), objects: new Map() };
  const all = inventoryDiff(emptyInventory, inventory(policy), nothing);
  assert.ok(all.length > 0 && all.every(({ action }) => action === 'add'));
});
