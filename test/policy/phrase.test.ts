import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillPhrase, phrase } from '../../src/policy/phrase.js';

const dnat = phrase('dnat to {to} [port {port}] [{pick}] [{sticky}]');
const mark = phrase('mark [{of}] {value}');

function fill(template: ReturnType<typeof phrase>, text: string): unknown {
  const words = text.split(' ').map((value) => ({ value }));
  const filled = fillPhrase(template, words, (slot, { value }) =>
    slot === 'pick'
      ? ['random', 'round-robin'].includes(value)
      : slot === 'of'
        ? value === 'connection'
        : value === slot,
  );
  if ('slots' in filled) return Object.fromEntries([...filled.slots].map(([slot, { value }]) => [slot, value]));
  return filled.unexpected?.value ?? 'ends';
}

for (const [template, text, meaning] of [
  [dnat, 'dnat to web', { to: 'web' }],
  [dnat, 'dnat to web port 80', { to: 'web', port: '80' }],
  [dnat, 'dnat to web sticky random port 80', { to: 'web', sticky: 'sticky', pick: 'random', port: '80' }],
  [dnat, 'dnat web', 'web'],
  [dnat, 'dnat to', 'ends'],
  [dnat, 'dnat to web port', 'ends'],
  [dnat, 'dnat to web port 80 port 81', 'port'],
  [dnat, 'dnat to web fast', 'fast'],
  [mark, 'mark 5', { value: '5' }],
  [mark, 'mark connection 5', { of: 'connection', value: '5' }],
  [mark, 'mark connection', 'ends'],
  [mark, 'mark 5 connection', { of: 'connection', value: '5' }],
] as const) {
  test(`"${text}" fills its slots, or tells the word that has no place`, () => {
    assert.deepEqual(fill(template, text), meaning);
  });
}
