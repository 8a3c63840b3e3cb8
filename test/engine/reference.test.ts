import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { elementRange } from '../../src/engine/entries/element.js';
import type { Entry } from '../../src/engine/tables.js';
import type { AddressRange, Family, Prefix } from '../../src/net/address.js';
import { comparePrefixes, prefixContains, prefixLast } from '../../src/net/prefix.js';
import { nestedPrefix } from './entries/nested-prefix.js';
import { type Bench, bench, source } from './fixture.js';
import { setOf } from './kernel-content.js';

const policy = `
version: 1
tables:
  ban: { size: 1000, entries: [10.0.0.0/28, not 10.0.0.5, 160.0.0.0/3, not 128.0.0.0/1, a00::/120, not a00::5] }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
`;

interface Line {
  readonly prefix: Prefix;
  readonly not: boolean;
  /** On the wall clock; undefined: permanent. */
  readonly expiresAt?: number;
  readonly isPolicy?: boolean;
}

/** The slow way to do the same: a list. */
class Reference {
  lines: Line[] = [];

  add(line: Line, now: number): void {
    this.expire(now);
    const own = this.lines.find(({ prefix }) => comparePrefixes(prefix, line.prefix) === 0);
    if (own?.isPolicy) return;
    this.lines = [...this.lines.filter((other) => other !== own), line];
  }

  delete(prefix: Prefix): void {
    this.lines = this.lines.filter((line) => line.isPolicy || comparePrefixes(line.prefix, prefix) !== 0);
  }

  expire(now: number): void {
    this.lines = this.lines.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  }

  has(family: Family, value: bigint): boolean {
    const covering = this.lines.filter(({ prefix }) => prefixContains(prefix, { family, value }));
    const longest = covering.sort((a, b) => b.prefix.length - a.prefix.length)[0];
    return longest !== undefined && !longest.not;
  }
}

const anyPrefix = fc.constantFrom<Family>(4, 6).chain(nestedPrefix);
const anyEntry = fc.record({
  prefix: anyPrefix,
  not: fc.boolean(),
  timeoutMs: fc.constantFrom(0, 500, 1_500, 4_000, 60_000),
});
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('add' as const),
      entries: fc.array(anyEntry, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('delete' as const),
      prefixes: fc.array(anyPrefix, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('replace' as const), entries: fc.array(anyEntry, { maxLength: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flush' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(300, 700, 2_000, 5_000) }),
  },
);

/** Is the address in either set of the kernel? */
async function kernelHas({ kernel, engine }: Bench): Promise<(family: Family, value: bigint) => boolean> {
  const ranges: AddressRange[] = [];
  for (const family of [4, 6] as const) {
    for (const tier of ['hosts', 'prefixes'] as const) {
      ranges.push(...(await kernel.dump(setOf(engine, 'ban', tier, family))).map(elementRange));
    }
  }
  return (family, value) =>
    ranges.some((range) => range.family === family && range.first <= value && value <= range.last);
}

test('whatever is added, excepted, deleted, replaced and expires, the kernel holds what a list of entries says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const made = await bench(policy);
      const { clock } = made;
      const { engine } = made;
      const reference = new Reference();
      for (const { prefix, not = false } of await engine.tables.show('ban'))
        reference.lines.push({ prefix, not, isPolicy: true });
      assert.equal(reference.lines.length, 6);
      const add = ({ prefix, not = false, timeoutMs = 0 }: Entry) => {
        const expiresAt = timeoutMs === 0 ? {} : { expiresAt: clock.wall() + timeoutMs };
        reference.add({ prefix, not, ...expiresAt }, clock.wall());
      };
      for (const now of steps) {
        if (now.op === 'add') {
          await engine.tables.add('ban', now.entries, source);
          now.entries.forEach(add);
        } else if (now.op === 'delete') {
          await engine.tables.delete('ban', now.prefixes, source);
          for (const prefix of now.prefixes) reference.delete(prefix);
        } else if (now.op === 'replace' || now.op === 'flush') {
          const entries = now.op === 'replace' ? now.entries : [];
          if (now.op === 'replace') await engine.tables.replace('ban', entries, source);
          else await engine.tables.flush('ban', source);
          reference.lines = reference.lines.filter(({ isPolicy }) => isPolicy);
          entries.forEach(add);
        } else if (now.op === 'wait') {
          await clock.pass(now.ms);
          // Entries leave at most a tick after they expire.
          await clock.pass(100);
          reference.expire(clock.wall());
        }
        reference.expire(clock.wall());
        const has = await kernelHas(made);
        for (const { prefix } of reference.lines) {
          const { family } = prefix;
          for (const value of [prefix.value, prefixLast(prefix), prefixLast(prefix) ^ 1n, prefix.value ^ 4n]) {
            const expected = reference.has(family, value);
            assert.equal(has(family, value), expected, `IPv${family} ${value.toString(16)} after ${now.op}`);
            assert.equal((await engine.tables.test('ban', { family, value })).inTable, expected);
          }
        }
      }
      await engine.stop();
    }),
    { numRuns: 60 },
  );
});
