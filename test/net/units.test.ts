import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/net/duration.js';
import { formatRate, parseRate, type Rate } from '../../src/net/rate.js';
import { formatSize, parseSize } from '../../src/net/size.js';

const counts = fc.integer({ min: 1, max: 2 ** 40 });

test('durations, sizes and rates read back as they were written', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)));
  const rates: fc.Arbitrary<Rate> = fc.record(
    { count: counts, perMs: counts, unit: fc.constantFrom('packets', 'bytes'), burst: counts },
    { requiredKeys: ['count', 'perMs', 'unit'] },
  );
  fc.assert(fc.property(rates, (rate) => assert.deepEqual({ ...rate }, parseRate(formatRate(rate)))));
});

test('durations take every unit, larger ones first', () => {
  const cases = { '300ms': 300, '10s': 10_000, '5m': 300_000, '2h': 7_200_000, '1d': 86_400_000, '1w': 604_800_000 };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text), ms);
  assert.equal(parseDuration('1d2h3m4s5ms'), 93_784_005);
  assert.equal(parseDuration('0s'), 0);
  assert.equal(formatDuration(90_061_000), '1d1h1m1s');
  assert.equal(formatDuration(0), '0s');
  assert.equal(formatDuration(86_400_000 * 14), '14d');
});

test('what is no duration is refused with a hint', () => {
  assert.throws(() => parseDuration('10'), /is 10s meant\?/);
  assert.throws(() => parseDuration('1m1h'), /smaller one first/);
  assert.throws(() => parseDuration('1s1s'), /twice/);
  assert.throws(() => parseDuration('9999999999999d'), /too long/);
  for (const text of ['', 's', '1.5s', '-1s', '1 s', '1S', '1y', 'forever']) {
    assert.throws(() => parseDuration(text), { code: 'invalid' }, text);
  }
});

test('sizes take decimal and binary units', () => {
  const cases = { 1024: 1024, '1kB': 1000, '1KB': 1000, '1KiB': 1024, '500MB': 5e8, '10GiB': 10 * 2 ** 30, '7B': 7 };
  for (const [text, bytes] of Object.entries(cases)) assert.equal(parseSize(text), bytes, text);
  assert.deepEqual([1024, 1000, 1001, 0, 3 * 2 ** 30].map(formatSize), ['1KiB', '1kB', '1001', '0', '3GiB']);
  for (const text of ['', 'GiB', '1.5GiB', '1G', '-1', '1 GiB', '10EiB', '9007199254740993', '9PiBB', '99PB']) {
    assert.throws(() => parseSize(text), { code: 'invalid' }, text);
  }
});

test('rates count packets or bytes over a period', () => {
  assert.deepEqual(parseRate('15/5s'), { count: 15, perMs: 5000, unit: 'packets' });
  assert.deepEqual(parseRate('10MB/1s'), { count: 10_000_000, perMs: 1000, unit: 'bytes' });
  assert.deepEqual(parseRate('5/m burst 10'), { count: 5, perMs: 60_000, unit: 'packets', burst: 10 });
  assert.deepEqual(parseRate('5/second'), { count: 5, perMs: 1000, unit: 'packets' });
  assert.equal(formatRate({ count: 1001, perMs: 1000, unit: 'bytes' }), '1001B/1s');
  for (const text of ['', '5', '5/', '/5s', '0/5s', '5/0s', '5/5', '5 / 5s', '5/s burst 1MB', '5/x', '-1/s']) {
    assert.throws(() => parseRate(text), { code: 'invalid' }, text);
  }
});
