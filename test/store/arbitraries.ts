import fc from 'fast-check';
import { parsePrefix } from '../../src/net/prefix.js';
import type { EntryRegister, FlushRegister, MarkRegister, Origin, ValueRegister } from '../../src/store/register.js';

/** Few prefixes, stamps and nodes, so that registers meet. */
export const prefixes = fc
  .constantFrom(
    '192.0.2.1/32',
    '192.0.2.0/24',
    '0.0.0.0/0',
    '198.51.100.7/32',
    '2001:db8::1/128',
    '2001:db8::/32',
    '::/0',
  )
  .map(parsePrefix);

/** Plain objects, so that they compare equal to what is read. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });

const stamps = fc.integer({ min: 1, max: 12 }).map((n) => 1_700_000_000_000_000 + n);
const nodes = fc.constantFrom('a', 'b', 'edge-1');
const expiries = fc.option(fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_009 }), { nil: undefined });
const tables = fc.constantFrom('bruteforce', 'spammer');
const texts = fc.string({ unit: 'grapheme', maxLength: 12 });

const origins: fc.Arbitrary<Origin> = record({
  kind: fc.constantFrom('cli', 'rest', 'pftabled', 'rule', 'import'),
  id: texts,
});

export const entries: fc.Arbitrary<EntryRegister> = record({
  kind: fc.constant('entry' as const),
  table: tables,
  prefix: prefixes,
  op: fc.constantFrom('add' as const, 'delete' as const),
  not: fc.boolean(),
  at: stamps,
  node: nodes,
  origin: origins,
  expiresAt: expiries,
  comment: fc.option(texts, { nil: undefined }),
});

export const flushes: fc.Arbitrary<FlushRegister> = record({
  kind: fc.constant('flush' as const),
  table: tables,
  at: stamps,
  node: nodes,
  origin: origins,
});

export const values: fc.Arbitrary<ValueRegister> = record({
  kind: fc.constant('value' as const),
  space: fc.constantFrom('quota' as const, 'condition' as const),
  key: fc.constantFrom('guest', 'maintenance'),
  at: stamps,
  node: nodes,
  expiresAt: expiries,
  value: fc.option(fc.oneof(fc.integer(), texts, fc.boolean(), fc.array(fc.integer(), { maxLength: 3 })), {
    nil: undefined,
  }),
});

export const marks: fc.Arbitrary<MarkRegister> = record({
  kind: fc.constant('mark' as const),
  protocol: fc.constantFrom('pftabled', 'spa'),
  mark: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  expiresAt: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
});

export const joinable = fc.oneof(entries, entries, flushes, values);
export const registers = fc.oneof(joinable, marks);
