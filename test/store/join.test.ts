import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeRegister } from '../../src/store/lines.js';
import type { EntryRegister, FlushRegister, ValueRegister } from '../../src/store/register.js';
import { State } from '../../src/store/state.js';
import { joinable } from './arbitraries.js';

type Joinable = EntryRegister | FlushRegister | ValueRegister;

/** Everything that a state says, in a form that doesn't depend on the order in which it was told. */
function said(registers: readonly Joinable[]): string[] {
  const state = new State();
  for (const register of registers) state.join(register);
  return [...state.registers()].map(encodeRegister).sort();
}

test('registers joined in any order give the same state', () => {
  fc.assert(
    fc.property(
      fc
        .array(joinable, { maxLength: 30 })
        .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      ([list, shuffled]) => assert.deepEqual(said(list), said(shuffled)),
    ),
  );
});

test('registers joined again change nothing', () => {
  fc.assert(
    fc.property(fc.array(joinable, { maxLength: 30 }), (list) =>
      assert.deepEqual(said([...list, ...list]), said(list)),
    ),
  );
});

test('two states joined by what they say are the state of all registers together', () => {
  fc.assert(
    fc.property(fc.array(joinable, { maxLength: 20 }), fc.array(joinable, { maxLength: 20 }), (left, right) => {
      const whole = said([...left, ...right]);
      const [a, b] = [new State(), new State()];
      for (const register of left) a.join(register);
      for (const register of right) b.join(register);
      for (const register of b.registers()) if (register.kind !== 'mark') a.join(register);
      assert.deepEqual([...a.registers()].map(encodeRegister).sort(), whole);
    }),
  );
});

test('the state agrees with a slow one that keeps every register', () => {
  fc.assert(
    fc.property(fc.array(joinable, { maxLength: 40 }), (list) => {
      const state = new State();
      for (const register of list) state.join(register);
      const flushes = list.filter((register) => register.kind === 'flush');
      for (const entry of list.filter((register) => register.kind === 'entry')) {
        const flushedAt = Math.max(0, ...flushes.filter(({ table }) => table === entry.table).map(({ at }) => at));
        const rivals = list.filter(
          (other): other is EntryRegister =>
            other.kind === 'entry' &&
            other.table === entry.table &&
            other.at > flushedAt &&
            other.prefix.family === entry.prefix.family &&
            other.prefix.value === entry.prefix.value &&
            other.prefix.length === entry.prefix.length,
        );
        const latest = Math.max(...rivals.map(({ at }) => at));
        const known = state.table(entry.table)?.get(entry.prefix);
        if (rivals.length === 0) assert.equal(known, undefined);
        else assert.equal(known?.at, latest);
      }
    }),
  );
});

test('a flush takes what was said before it and nothing that was said after', () => {
  const state = new State();
  const add = (at: number, value: bigint): EntryRegister => ({
    kind: 'entry',
    table: 't',
    prefix: { family: 4, value, length: 32 },
    op: 'add',
    not: false,
    at,
    node: 'a',
    origin: { kind: 'cli', id: 'root' },
  });
  state.join(add(10, 1n));
  state.join(add(30, 2n));
  state.join({ kind: 'flush', table: 't', at: 20, node: 'b', origin: { kind: 'cli', id: 'root' } });
  state.join(add(15, 3n));
  assert.deepEqual(
    [...state.registers()].flatMap((register) => (register.kind === 'entry' ? [register.prefix.value] : [])),
    [2n],
  );
});
