import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeKey, encodeKey, keyLength } from '../../src/nft/key.js';
import type { Expression } from '../../src/nft/model.js';

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex');

/** Types, value, key, end of the key's range. */
const cases: readonly (readonly [readonly string[], Expression, string, string?])[] = [
  [['ipv4_addr'], '192.0.2.1', 'c0000201'],
  [['ipv6_addr'], '2001:db8::1', '20010db8000000000000000000000001'],
  [['ipv4_addr'], { prefix: { addr: '192.0.2.0', len: 24 } }, 'c0000200', 'c00002ff'],
  [['ipv4_addr'], { range: ['192.0.2.3', '192.0.2.9'] }, 'c0000203', 'c0000209'],
  [
    ['ipv6_addr'],
    { prefix: { addr: '2001:db8::', len: 127 } },
    `20010db8${'0'.repeat(24)}`,
    `20010db8${'0'.repeat(23)}1`,
  ],
  [['inet_service'], 443, '01bb'],
  [['inet_proto'], 6, '06'],
  [['nf_proto'], 'ipv6', '0a'],
  [['mark'], 0x1234, '34120000'],
  [['ether_addr'], '02:00:00:00:01:02', '020000000102'],
  [['ifname'], 'eth0', `65746830${'0'.repeat(24)}`],
  [['ifname'], 'ppp*', `707070${'0'.repeat(26)}`, `707070${'f'.repeat(26)}`],
  [['ipv4_addr', 'inet_service'], { concat: ['1.2.3.4', 443] }, '0102030401bb0000'],
  [
    ['ipv4_addr', 'inet_service'],
    { concat: [{ prefix: { addr: '1.2.3.0', len: 24 } }, 22] },
    '0102030000160000',
    '010203ff00160000',
  ],
];

for (const [types, value, key, keyEnd] of cases) {
  test(`${types.join(' . ')} ${JSON.stringify(value)} is ${key}, and back`, () => {
    const bytes = encodeKey(types, value);
    assert.equal(hex(bytes?.key), key);
    assert.equal(hex(bytes?.keyEnd), keyEnd);
    assert.deepEqual(decodeKey(types, bytes!), value);
    assert.equal(bytes?.key.length, keyLength(types));
  });
}

test('a protocol may be written by its name', () => {
  assert.equal(hex(encodeKey(['inet_proto'], 'tcp')?.key), '06');
});

test('what has no known length is not guessed', () => {
  assert.equal(encodeKey(['integer'], 5), undefined);
  assert.equal(keyLength(['ipv4_addr', 'integer']), undefined);
  assert.equal(decodeKey(['integer'], { key: new Uint8Array(4) }), undefined);
  assert.equal(encodeKey(['ipv4_addr', 'inet_service'], '1.2.3.4'), undefined);
  assert.equal(decodeKey(['ipv4_addr'], { key: new Uint8Array(5) }), undefined);
});

test('an unreadable literal is an error', () => {
  assert.throws(() => encodeKey(['ipv4_addr'], '300.1.1.1'), { code: 'invalid' });
});

test('every address, range and pair survives the way to bytes and back', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(
      fc.constantFrom(4, 16),
      fc.uint8Array({ minLength: 34, maxLength: 34 }),
      bytes(2),
      (length, random, port) => {
        const type = length === 4 ? 'ipv4_addr' : 'ipv6_addr';
        const [a, z] = [random.slice(0, length), random.slice(17, 17 + length)].sort(Buffer.compare) as [
          Uint8Array,
          Uint8Array,
        ];
        const range = encodeKey([type], decodeKey([type], { key: a, keyEnd: z })!);
        assert.equal(hex(range?.key), hex(a));
        assert.equal(hex(range?.keyEnd ?? range?.key), hex(z));
        const pair = { key: Buffer.concat([a, port, Buffer.alloc(2)]) };
        const types = [type, 'inet_service'];
        assert.equal(hex(encodeKey(types, decodeKey(types, pair)!)?.key), hex(pair.key));
      },
    ),
  );
});
