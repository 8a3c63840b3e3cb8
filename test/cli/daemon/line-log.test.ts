import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { LineLog } from '../../../src/cli/daemon/line-log.js';

function log(json = false) {
  const lines: string[] = [];
  const clock = { now: Date.parse('2026-11-22T10:00:00Z') };
  return { lines, clock, log: new LineLog({ json, now: () => clock.now, write: (line) => lines.push(line) }) };
}

suite('the log', () => {
  test('has one line an event, with time and level', () => {
    const { lines, log: out } = log();
    out.info('policy applied', { changes: 3 });
    out.error('gone');
    assert.deepEqual(lines, [
      '2026-11-22T10:00:00.000Z info: policy applied\n',
      '2026-11-22T10:00:00.000Z error: gone\n',
    ]);
  });

  test('as JSON carries the facts', () => {
    const { lines, log: out } = log(true);
    out.warn('slow', { ms: 12, who: undefined });
    assert.deepEqual(JSON.parse(lines[0]!), {
      time: '2026-11-22T10:00:00.000Z',
      level: 'warn',
      message: 'slow',
      ms: 12,
    });
  });

  test('keeps a text of several lines, or with control characters, on one line', () => {
    const { lines, log: out } = log();
    out.info('a\n  b\x1b[31m\r\nc');
    assert.deepEqual(lines, ['2026-11-22T10:00:00.000Z info: a | b?[31m | c\n']);
  });

  test('writes what repeats a few times, then says how often it did', () => {
    const { lines, clock, log: out } = log();
    for (let i = 0; i < 1000; i++) out.warn('again');
    assert.equal(lines.length, 5);
    out.warn('something else');
    assert.equal(lines.length, 6);
    clock.now += 10_000;
    out.warn('again');
    assert.match(lines[6]!, /warn: again \(995 more like it before\)\n$/);
  });
});
