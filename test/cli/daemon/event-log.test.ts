import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { suite, test } from 'node:test';
import { logEvents } from '../../../src/cli/daemon/event-log.js';
import type { Engine, EngineEvents } from '../../../src/engine/engine.js';

const nothing = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };

function bed() {
  const lines: string[] = [];
  const clock = { now: 0 };
  const events = new EventEmitter<EngineEvents>();
  const line = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  const log = { info: line('info'), warn: line('warn'), error: line('error') };
  logEvents({ events } as Engine, log, () => clock.now);
  return { lines, clock, events };
}

suite('what the engine tells', () => {
  test('is one line an event', () => {
    const { lines, events } = bed();
    const source = { kind: 'pftabled', id: '192.0.2.1' } as const;
    events.emit('table', { table: 'spammer', source, count: { ...nothing, added: 2, deleted: 1 } });
    events.emit('table', { table: 'spammer', count: { ...nothing, deleted: 3 } });
    events.emit('policy', { what: 'applied', diff: { empty: true, changes: [], warnings: [] } });
    events.emit('policy', { what: 'confirmed', diff: { empty: true, changes: [], warnings: [] } });
    events.emit('drift', { what: 'repaired', detail: 'chain input was gone', repairMs: 12.4 });
    events.emit('drift', { what: 'failed', detail: 'chain input is gone' });
    events.emit('trouble', { error: new Error('no space left') });
    assert.deepEqual(lines, [
      'info table spammer: 2 added, 1 deleted by pftabled 192.0.2.1',
      'info table spammer: 3 expired',
      'info policy applied: nothing to change',
      'info policy confirmed',
      'warn drift repaired: chain input was gone (after 12 ms)',
      'error drift failed: chain input is gone',
      'error no space left',
    ]);
  });

  test('does not say that nothing was changed', () => {
    const { lines, events } = bed();
    events.emit('table', { table: 't', source: { kind: 'cli', id: 'uid 0' }, count: { ...nothing, unchanged: 4 } });
    assert.deepEqual(lines, []);
  });

  test('is thinned out when a table changes all the time, and the lines say how much is left out', () => {
    const { lines, clock, events } = bed();
    const flood = () => {
      for (let i = 0; i < 1000; i++) {
        events.emit('table', {
          table: 't',
          source: { kind: 'pftabled', id: `host ${i}` },
          count: { ...nothing, added: 1 },
        });
      }
    };
    flood();
    assert.equal(lines.length, 10);
    events.emit('table', { table: 'other', source: { kind: 'cli', id: 'uid 0' }, count: { ...nothing, added: 1 } });
    assert.equal(lines.length, 11, 'another table has lines of its own');
    clock.now += 1000;
    flood();
    assert.equal(lines.length, 12);
    assert.match(lines[11]!, /\(and 990 such changes before\)$/);
  });
});
