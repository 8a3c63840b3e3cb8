import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../src/net/address.js';
import {
  comparePrefixes,
  formatPrefix,
  formatRange,
  isHost,
  parsePrefix,
  parsePrefixMasked,
  parseRange,
  prefixContains,
  prefixCovers,
  prefixLast,
  prefixOf,
  prefixRange,
  rangeContains,
  rangePrefix,
  rangesOverlap,
} from '../../src/net/prefix.js';
import { addresses, prefixes, ranges } from './arbitraries.js';

test('prefixes and ranges read back as they were written', () => {
  fc.assert(fc.property(prefixes, (prefix) => assert.deepEqual(parsePrefix(formatPrefix(prefix)), prefix)));
  fc.assert(fc.property(ranges, (range) => assert.deepEqual(parseRange(formatRange(range)), range)));
  fc.assert(fc.property(prefixes, (prefix) => assert.deepEqual(rangePrefix(prefixRange(prefix)), prefix)));
});

test('a range is written as the prefix that it is', () => {
  assert.equal(formatRange(parseRange('192.0.2.0-192.0.2.255')), '192.0.2.0/24');
  assert.equal(formatRange(parseRange('192.0.2.1-192.0.2.1')), '192.0.2.1');
  assert.equal(formatRange(parseRange('192.0.2.1 - 192.0.2.2')), '192.0.2.1-192.0.2.2');
  assert.equal(formatRange(parseRange('::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')), '::/0');
});

test('a dotted mask means its length', () => {
  for (const [mask, length] of [
    ['255.255.255.0', 24],
    ['255.255.255.255', 32],
    ['0.0.0.0', 0],
    ['128.0.0.0', 1],
  ] as const) {
    assert.equal(parsePrefixMasked(`192.0.2.0/${mask}`).prefix.length, length);
  }
  assert.throws(() => parsePrefix('192.0.2.0/255.0.255.0'), /length/);
  assert.throws(() => parsePrefix('2001:db8::/255.0.0.0'), /0 to 128/);
});

test('bits beyond the length are an error that names the prefix, or are cleared and reported', () => {
  assert.throws(() => parsePrefix('192.0.2.1/24'), /is 192\.0\.2\.0\/24 meant\?/);
  assert.deepEqual(parsePrefixMasked('192.0.2.1/24'), { prefix: parsePrefix('192.0.2.0/24'), masked: true });
  assert.deepEqual(parsePrefixMasked('192.0.2.0/24').masked, false);
});

test('what is no prefix or range is refused', () => {
  for (const text of ['192.0.2.0/33', '192.0.2.0/', '192.0.2.0/024', '192.0.2.0/-1', '::/129', '10/8', '::/0/0', '']) {
    assert.throws(() => parsePrefix(text), { code: 'invalid' }, text);
  }
  assert.throws(() => parseRange('192.0.2.9-192.0.2.1'), /swap/);
  assert.throws(() => parseRange('192.0.2.9-::1'), /families/);
  assert.throws(() => parseRange('192.0.2.9-'), { code: 'invalid' });
  assert.throws(() => prefixOf(parseAddress('192.0.2.1'), 33), /0 to 32/);
});

test('a prefix contains what lies between its first and last address', () => {
  fc.assert(
    fc.property(prefixes, addresses, (prefix, address) => {
      assert.equal(prefixContains(prefix, address), rangeContains(prefixRange(prefix), address));
      assert.ok(prefixContains(prefix, { family: prefix.family, value: prefixLast(prefix) }));
      assert.ok(prefixCovers(prefix, prefixOf(prefix, Math.min(prefix.length + 3, prefix.family === 4 ? 32 : 128))));
    }),
  );
  assert.ok(!prefixCovers(parsePrefix('192.0.2.0/25'), parsePrefix('192.0.2.0/24')));
  assert.ok(!prefixContains(parsePrefix('::/0'), parseAddress('192.0.2.1')));
});

test('ranges overlap when they share an address', () => {
  assert.ok(rangesOverlap(parseRange('192.0.2.1-192.0.2.5'), parseRange('192.0.2.5-192.0.2.9')));
  assert.ok(!rangesOverlap(parseRange('192.0.2.1-192.0.2.4'), parseRange('192.0.2.5-192.0.2.9')));
});

test('wider prefixes come before narrower ones of the same address', () => {
  const order = ['2001:db8::/32', '10.0.0.0', '10.0.0.0/8', '9.0.0.0/8', '10.0.0.0/16']
    .map(parsePrefix)
    .sort(comparePrefixes);
  assert.deepEqual(order.map(formatPrefix), ['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/16', '10.0.0.0', '2001:db8::/32']);
  assert.ok(isHost(parsePrefix('10.0.0.0')));
});
