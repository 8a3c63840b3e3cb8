import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tickMs } from '../../../src/engine/entries/calendar.js';
import type { Delta } from '../../../src/engine/entries/delta.js';
import { FamilyDelta, FamilyEntries } from '../../../src/engine/entries/family-entries.js';
import type { Piece } from '../../../src/engine/entries/flatten.js';
import { sameTerms, type Terms } from '../../../src/engine/entries/terms.js';
import type { Family, Prefix } from '../../../src/net/address.js';
import { hostPrefix, prefixContains, prefixLast } from '../../../src/net/prefix.js';
import { nestedPrefix } from './nested-prefix.js';

const forever = Number.POSITIVE_INFINITY;

function terms(not: boolean, expires: number, comment?: string): Terms {
  return { not, expires, source: { kind: 'cli', id: 'test' }, addedAt: 0, request: 1, ...(comment && { comment }) };
}

/** A kernel set as it is told: refuses what the kernel refuses, and forgets what has expired. */
class PlainSet {
  readonly pieces = new Map<bigint, Piece>();

  change(delta: Delta, now: number): void {
    this.expire(now);
    for (const { first, last } of delta.deletes()) if (this.pieces.get(first)?.last === last) this.pieces.delete(first);
    for (const piece of delta.adds()) {
      if (piece.until <= now) continue;
      for (const other of this.pieces.values()) {
        const same = other.first === piece.first && other.last === piece.last;
        assert.ok(same || other.last < piece.first || piece.last < other.first, 'intervals overlap');
      }
      this.pieces.set(piece.first, piece);
    }
  }

  expire(now: number): void {
    for (const piece of this.pieces.values()) if (piece.until <= now) this.pieces.delete(piece.first);
  }

  has(value: bigint): boolean {
    return [...this.pieces.values()].some((piece) => piece.first <= value && value <= piece.last);
  }
}

interface Line {
  readonly prefix: Prefix;
  readonly terms: Terms;
}

/** The slow reference: of all lines that cover the address and are alive, the longest decides. */
function isIn(lines: Iterable<Line>, value: bigint, family: Family, now: number): boolean {
  let decides: Line | undefined;
  for (const line of lines) {
    if (line.terms.expires <= now || !prefixContains(line.prefix, { family, value })) continue;
    if (decides === undefined || line.prefix.length > decides.prefix.length) decides = line;
  }
  return decides !== undefined && !decides.terms.not;
}

const step = (family: Family) =>
  fc.record({
    op: fc.constantFrom('add', 'add', 'add', 'not', 'delete', 'wait' as const),
    prefix: nestedPrefix(family),
    timeoutMs: fc.oneof(
      fc.constant(forever),
      fc.integer({ min: 1, max: 20 }).map((n) => n * tickMs),
    ),
    comment: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
  });

for (const family of [4, 6] as const) {
  test(`IPv${family}: the kernel's sets hold what the longest living prefix says, after every step and through every expiry`, () => {
    fc.assert(
      fc.property(fc.array(step(family), { maxLength: 40 }), (steps) => {
        const entries = new FamilyEntries(family);
        const [hosts, prefixes] = [new PlainSet(), new PlainSet()];
        const lines = new Map<string, Line>();
        let now = 0;
        for (const { op, prefix, timeoutMs, comment } of steps) {
          const delta = new FamilyDelta();
          const key = `${prefix.value}/${prefix.length}`;
          const { value, length } = prefix;
          if (op === 'wait') {
            now += timeoutMs === forever ? tickMs : timeoutMs;
            while (entries.expire(now, 2, delta).length > 0);
          } else if (op === 'delete') {
            const old = entries.put(value, length, undefined, delta);
            const line = lines.get(key);
            if (line && line.terms.expires > now)
              assert.ok(sameTerms(old, line.terms), `${key}: another entry was there`);
            lines.delete(key);
          } else {
            const added = terms(op === 'not', now + timeoutMs, comment);
            entries.put(value, length, added, delta);
            lines.set(key, { prefix, terms: added });
          }
          hosts.change(delta.hosts, now);
          prefixes.change(delta.prefixes, now);
          hosts.expire(now);
          prefixes.expire(now);

          for (const line of lines.values()) {
            for (const address of [line.prefix.value, prefixLast(line.prefix), value, prefixLast(prefix) ^ 1n]) {
              const expected = isIn(lines.values(), address, family, now);
              assert.equal(hosts.has(address) || prefixes.has(address), expected, `address ${address} at ${now}`);
              const decides = entries.decides(address, now);
              assert.equal(decides !== undefined && !decides.of.not, expected);
            }
          }
          const alive = (pieces: Iterable<Piece>) => [...pieces].filter((piece) => piece.until > now);
          const inOrder = (set: PlainSet) => [...set.pieces.values()].sort((a, b) => (a.first < b.first ? -1 : 1));
          assert.deepEqual(inOrder(prefixes), alive(entries.prefixPieces()));
          assert.deepEqual(inOrder(hosts), alive(entries.hostPieces()));
          assert.equal(entries.pieces, entries.prefixPieces().length);
        }
      }),
      { numRuns: 300 },
    );
  });

  test(`IPv${family}: without the daemon every ban still ends in time, and none ends early unless an exception takes over`, () => {
    fc.assert(
      fc.property(fc.array(step(family), { maxLength: 25 }), (steps) => {
        const entries = new FamilyEntries(family);
        const lines = new Map<string, Line>();
        const delta = new FamilyDelta();
        for (const { op, prefix, timeoutMs } of steps) {
          const added = terms(op === 'not', timeoutMs);
          entries.put(prefix.value, prefix.length, added, delta);
          lines.set(`${prefix.value}/${prefix.length}`, { prefix, terms: added });
        }
        const [hosts, prefixes] = [new PlainSet(), new PlainSet()];
        prefixes.change(delta.prefixes, 0);
        hosts.change(delta.hosts, 0);
        const exceptionsEnd = [...lines.values()].filter((line) => line.terms.not).map((line) => line.terms.expires);
        for (let now = 0; now <= 21 * tickMs; now += tickMs) {
          hosts.expire(now);
          prefixes.expire(now);
          for (const { prefix } of lines.values()) {
            const expected = isIn(lines.values(), prefix.value, family, now);
            const returned = expected && exceptionsEnd.some((end) => end <= now);
            if (returned) continue;
            assert.equal(hosts.has(prefix.value) || prefixes.has(prefix.value), expected, `${prefix.value} at ${now}`);
          }
        }
      }),
    );
  });
}

test('prefixes that do not nest are elements as they are; a nested one splits only the piece around it', () => {
  const entries = new FamilyEntries(4);
  const put = (value: bigint, length: number, of: Terms | undefined) => {
    const delta = new FamilyDelta();
    entries.put(value, length, of, delta);
    const span = ({ first, last }: Piece) => `${first.toString(16)}-${last.toString(16)}`;
    return { deletes: [...delta.prefixes.deletes()].map(span), adds: [...delta.prefixes.adds()].map(span) };
  };
  assert.deepEqual(put(0x0a000000n, 8, terms(false, forever)), { deletes: [], adds: ['a000000-affffff'] });
  assert.deepEqual(put(0x0b000000n, 8, terms(false, forever)), { deletes: [], adds: ['b000000-bffffff'] });
  assert.deepEqual(put(0x0a020000n, 16, terms(true, forever)), {
    deletes: ['a000000-affffff'],
    adds: ['a000000-a01ffff', 'a030000-affffff'],
  });
  assert.deepEqual(put(0x0a080000n, 16, terms(false, 5)), {
    deletes: ['a030000-affffff'],
    adds: ['a030000-a07ffff', 'a080000-a08ffff', 'a090000-affffff'],
  });
  assert.deepEqual(put(0x0a080000n, 16, terms(false, forever)), { deletes: [], adds: [] });
  assert.deepEqual(put(0x0a020000n, 16, undefined), {
    deletes: ['a000000-a01ffff', 'a030000-a07ffff'],
    adds: ['a000000-a07ffff'],
  });
});

test('a host entry is one element of the hosts set, an exception of one host is a hole in the prefixes set', () => {
  const entries = new FamilyEntries(4);
  const { value, length } = hostPrefix({ family: 4, value: 0x0a000001n });
  const delta = new FamilyDelta();
  entries.put(0x0a000000n, 24, terms(false, forever), delta);
  entries.put(value, length, terms(false, 7), delta);
  assert.equal(entries.hosts, 1);
  assert.deepEqual([...delta.hosts.adds()], [{ first: value, last: value, until: 7 }]);
  assert.deepEqual(
    [...delta.prefixes.adds()].map((piece) => piece.last),
    [0x0a0000ffn],
  );
  entries.put(value, length, terms(true, forever), delta);
  assert.equal(entries.hosts, 0);
  assert.deepEqual([...delta.hosts.adds(), ...delta.hosts.deletes()], []);
  assert.deepEqual(
    [...delta.prefixes.adds()].map((piece) => piece.first),
    [0x0a000000n, 0x0a000002n],
  );
});
