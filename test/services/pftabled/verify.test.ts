import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatPrefix } from '../../../src/net/prefix.js';
import { type PftabledRules, verifyPftabled } from '../../../src/services/pftabled/verify.js';
import { encodePftabled, type PftabledMessage, pftabledKey } from '../../../src/wire/pftabled.js';

const key = pftabledKey(Buffer.alloc(20, 7));
const rules: PftabledRules = { key, tables: new Set(['spammer', 'b'.repeat(31)]) };
const nowS = 1_700_000_000;
const nowMs = nowS * 1000 + 999;

const message: PftabledMessage = {
  version: 2,
  command: 1,
  mask: 32,
  address: 0xc000_02ff,
  table: 'spammer',
  timestamp: nowS,
};

function verdict(change: Partial<PftabledMessage>, by: Partial<PftabledRules> = {}, at = nowMs) {
  const found = verifyPftabled(encodePftabled({ ...message, ...change }, key), at, { ...rules, ...by });
  if (typeof found === 'string') return found;
  return [found.command, found.table, ...(found.prefix === undefined ? [] : [formatPrefix(found.prefix)])].join(' ');
}

test('what a datagram asks for, or why it is refused', () => {
  const cases: readonly (readonly [Partial<PftabledMessage>, string])[] = [
    [{}, 'add spammer 192.0.2.255'],
    [{ command: 2, mask: 24 }, 'delete spammer 192.0.2.0/24'],
    [{ command: 3, mask: 255 }, 'flush spammer'],
    [{ mask: 1 }, 'add spammer 128.0.0.0/1'],
    [{ mask: 0, address: 0 }, 'add spammer 0.0.0.0/0'],
    [{ mask: 0 }, 'mask'],
    [{ mask: 33 }, 'mask'],
    [{ version: 1, mask: 0 }, 'add spammer 192.0.2.255'],
    [{ version: 1, mask: 24 }, 'add spammer 192.0.2.255'],
    [{ version: 0 }, 'version'],
    [{ version: 3 }, 'version'],
    [{ command: 0 }, 'command'],
    [{ command: 4 }, 'command'],
    [{ table: '' }, 'table'],
    [{ table: 'other' }, 'table'],
    [{ table: 'b'.repeat(31) }, `add ${'b'.repeat(31)} 192.0.2.255`],
    [{ table: 'b'.repeat(32) }, 'table'],
    [{ timestamp: nowS - 60 }, 'add spammer 192.0.2.255'],
    [{ timestamp: nowS + 60 }, 'add spammer 192.0.2.255'],
    [{ timestamp: nowS - 61 }, 'clock'],
    [{ timestamp: nowS + 61 }, 'clock'],
    [{ timestamp: 0 }, 'clock'],
    [{ timestamp: 0xffff_ffff }, 'clock'],
    [{ version: 9, timestamp: 0, command: 9 }, 'version'],
    [{ timestamp: 0, command: 9 }, 'clock'],
  ];
  for (const [change, expected] of cases) assert.equal(verdict(change), expected, JSON.stringify(change));
});

test('a forced table takes every request, whatever it names', () => {
  for (const table of ['', 'other', 'c'.repeat(32)]) {
    assert.equal(verdict({ table }, { force: 'jail', tables: new Set() }), 'add jail 192.0.2.255');
  }
});

test('with a key only what is signed by it is taken, without one everything', () => {
  const otherKey = pftabledKey(Buffer.alloc(20, 8));
  assert.equal(verdict({}, { key: otherKey }), 'digest');
  assert.equal(verifyPftabled(encodePftabled(message), nowMs, rules), 'digest');
  const { key: _, ...unsigned } = rules;
  assert.equal(typeof verifyPftabled(encodePftabled(message), nowMs, unsigned), 'object');
  assert.equal(typeof verifyPftabled(encodePftabled(message, otherKey), nowMs, unsigned), 'object');
});

test('the clock of the datagram has 32 bits, and its difference counts beyond their end', () => {
  const wrapped = 2 ** 32 + 5;
  assert.equal(verdict({ timestamp: 0xffff_fffe }, {}, wrapped * 1000), 'add spammer 192.0.2.255');
  assert.equal(verdict({ timestamp: 5 }, {}, wrapped * 1000), 'add spammer 192.0.2.255');
  assert.equal(verdict({ timestamp: 66 }, {}, wrapped * 1000), 'clock');
});

test('a request expires when the clock check begins to refuse it, wherever in the window it came', () => {
  fc.assert(
    fc.property(fc.integer({ min: -60, max: 60 }), fc.integer({ min: 0, max: 999 }), (aheadS, ms) => {
      const datagram = encodePftabled({ ...message, timestamp: nowS + aheadS }, key);
      const found = verifyPftabled(datagram, nowS * 1000 + ms, rules);
      assert.ok(typeof found === 'object');
      assert.equal(found.valid.from, (nowS + aheadS - 60) * 1000);
      assert.equal(typeof verifyPftabled(datagram, found.valid.until - 1, rules), 'object');
      assert.equal(verifyPftabled(datagram, found.valid.until, rules), 'clock');
    }),
  );
});

test('any bytes are a verdict', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 130 }), (bytes) => {
      const found = verifyPftabled(Buffer.from(bytes), nowMs, rules);
      assert.equal(typeof found, 'string');
    }),
  );
});

test('what is kept of a request survives its buffer', () => {
  const datagram = encodePftabled(message, key);
  const found = verifyPftabled(datagram, nowMs, rules);
  assert.ok(typeof found === 'object');
  const mark = found.mark.toString('hex');
  datagram.fill(0);
  assert.equal(found.mark.toString('hex'), mark);
  assert.equal(found.table, 'spammer');
});
