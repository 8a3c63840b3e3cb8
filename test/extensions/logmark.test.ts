/** LOGMARK: its line, its rules, what it refuses. How it compares with the recorded module is in `vectors/golden-logmark`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logmark, readLogmarkPrefix } from '../../src/extensions/logmark.js';
import { type LogmarkRecord, logmarkLine } from '../../src/extensions/models/logmark.js';
import { vocabulary } from '../../src/extensions/registry.js';
import { planOf, rulesOf } from '../compiler/compiled.js';
import { complaints } from '../policy/complaints.js';

const policy = (action: string) => `chains:\n  prerouting:\n    rules:\n      - { udp: any, do: ${action} }\n`;

const record: LogmarkRecord = {
  prefix: 'p: ',
  device: 3,
  hook: 'INPUT',
  mark: 0x11,
  direction: 'ORIGINAL',
  state: 'NEW',
};

test('the line has the marks of the packet and of its connection', () => {
  const connection = { id: 0xabc, mark: 0x77, translated: ['DNAT'], status: ['CONFIRMED'], lifetimeS: 30 } as const;
  assert.equal(
    logmarkLine({ ...record, connection }),
    'p: iif=3 hook=INPUT nfmark=0x11 secmark=0x0 classify=0x0 ctdir=ORIGINAL ct=0xabc ctmark=0x77 ctstate=NEW,DNAT ctstatus=CONFIRMED lifetime=30s',
  );
});

test('a packet without a connection is invalid, whatever the rule saw', () => {
  assert.equal(
    logmarkLine(record),
    'p: iif=3 hook=INPUT nfmark=0x11 secmark=0x0 classify=0x0 ctdir=ORIGINAL ct=NULL ctmark=NULL ctstate=INVALID ctstatus=NONE',
  );
});

test('every packet is copied once with its own mark, and with its connection once for each of its numbers', () => {
  const plan = planOf(policy('{ logmark: { prefix: "web: ", level: 6 } }'));
  const rules = rulesOf(plan, 'logmark_1');
  assert.match(
    rules[0] ?? '',
    /^ct state \{? ?invalid, ?untracked ?\}? log prefix "6 INVALID ORIGINAL 0 web: " .* return$/,
  );
  assert.equal(rules.length, 8);
  const [marks, full, ...more] = rulesOf(plan, 'logmark_connection');
  assert.match(
    marks ?? '',
    /^update .* meta mark set ct mark log .* meta mark set ct id log .* meta mark set ct id \. meta cpu map .* return$/,
  );
  assert.match(full ?? '', /^counter name/);
  assert.deepEqual(more, []);
});

test('rules with the same options share a chain', () => {
  const plan = planOf(
    'chains:\n  prerouting:\n    rules:\n      - { udp: 1, do: logmark }\n      - { udp: 2, do: { logmark: { level: 4 } } }\n      - { udp: 3, do: { logmark: { level: 5 } } }\n',
  );
  const chains = plan.ruleset.tables.flatMap((table) => table.chains.map(({ name }) => name));
  assert.deepEqual(
    chains.filter((name) => /^logmark_[0-9]/.test(name)),
    ['logmark_1', 'logmark_2'],
  );
});

test('what a rule says of a packet is read back from the prefix of its copy', () => {
  assert.deepEqual(readLogmarkPrefix('4 RELATED REPLY 1 a b'), {
    level: 4,
    state: 'RELATED',
    direction: 'REPLY',
    confirmed: true,
    prefix: 'a b',
  });
  for (const other of ['', 'input/3', '8 NEW ORIGINAL 0 ', '4 NEW ORIGINAL 2 ']) {
    assert.equal(readLogmarkPrefix(other), undefined, other);
  }
});

test('prefixes and levels that the original has no room for are refused where they stand', () => {
  for (const [action, expected] of [
    [`{ logmark: { prefix: "${'p'.repeat(30)}" } }`, /^5:[0-9]+ .*at most 29 characters/],
    ['{ logmark: { prefix: \'say "hi"\' } }', /^5:[0-9]+ .*leave out quotes/],
    ['{ logmark: { level: 8 } }', /^5:[0-9]+ .*7/],
    ['{ logmark: { level: debug } }', /^5:[0-9]+ "debug"/],
  ] as const) {
    assert.match(complaints(`version: 1\n${policy(action)}`, { vocabulary }).join('\n'), expected);
  }
});

test("iptables' LOGMARK is the action", () => {
  const [syntax] = logmark.iptables ?? [];
  assert.deepEqual(syntax?.read(new Map()), { action: 'logmark' });
  const options = new Map([
    ['log-level', { negated: false, value: '7' }],
    ['log-prefix', { negated: false, value: 'x' }],
  ]);
  assert.deepEqual(syntax?.read(options), { action: { logmark: { prefix: 'x', level: 7 } } });
});
