import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { parsePrefix } from '../../src/net/prefix.js';
import { ByteReader, ByteWriter } from '../../src/store/byte-writer.js';
import { crc32 } from '../../src/store/crc32.js';
import { frameLength, readFrame, writeFrame } from '../../src/store/frame.js';
import { checkHeader, decodeRegister, encodeHeader, encodeRegister } from '../../src/store/lines.js';
import { prefixKey } from '../../src/store/prefix-key.js';
import type { EntryRegister, Register } from '../../src/store/register.js';
import { currentFormat, readRegister, writeRegister } from '../../src/store/register-codec.js';
import { registers } from './arbitraries.js';

const ban: EntryRegister = {
  kind: 'entry',
  table: 'bruteforce',
  prefix: parsePrefix('192.0.2.10/32'),
  op: 'add',
  not: false,
  at: 1_795_000_000_000_123,
  node: 'fw1',
  origin: { kind: 'pftabled', id: '198.51.100.9' },
  expiresAt: 1_795_086_400_000,
  comment: undefined,
};

test('a register survives being written and read', () => {
  fc.assert(
    fc.property(registers, (register) => {
      const out = new ByteWriter(8);
      writeRegister(out, register);
      const reader = new ByteReader(out.view());
      assert.deepEqual(readRegister(reader, currentFormat), register);
      assert.ok(reader.atEnd);
    }),
  );
});

test('registers in a row survive being written and read, whatever texts they share', () => {
  fc.assert(
    fc.property(fc.array(registers, { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 10 }), (given, again) => {
      const row = given.concat(again.flatMap((n) => (given.length === 0 ? [] : [given[n % given.length]!])));
      const out = new ByteWriter(8);
      writeFrame(out, { kind: 'change', registers: row });
      assert.deepEqual(readFrame(out.view(), currentFormat), { kind: 'change', registers: row });
    }),
  );
});

test('an IPv4 ban takes 50 bytes, and 21 behind another one of the same source', () => {
  const out = new ByteWriter();
  writeRegister(out, ban);
  assert.equal(out.length, 50);
  writeRegister(out, { ...ban, prefix: parsePrefix('192.0.2.11') }, ban);
  assert.equal(out.length, 71);
  writeRegister(out, { ...ban, comment: 'ssh' }, { ...ban, comment: 'ssh' });
  assert.equal(out.length, 92);
});

test('an entry that refers to one before it where none is, is refused', () => {
  const out = new ByteWriter();
  writeRegister(out, ban, ban);
  assert.throws(() => readRegister(new ByteReader(out.view()), currentFormat), RangeError);
});

test('a register that is cut short or begins with nonsense is refused', () => {
  const out = new ByteWriter();
  writeRegister(out, ban);
  const whole = Buffer.from(out.view());
  for (let length = 0; length < whole.length; length++) {
    assert.throws(
      () => readRegister(new ByteReader(whole.subarray(0, length)), currentFormat),
      RangeError,
      `${length} bytes`,
    );
  }
  assert.throws(() => readRegister(new ByteReader(Buffer.from([0])), currentFormat), RangeError);
  assert.throws(() => readRegister(new ByteReader(Buffer.from([200])), currentFormat), RangeError);
});

test('a frame with any one byte changed is no frame', () => {
  const out = new ByteWriter();
  writeFrame(out, { kind: 'change', registers: [ban] });
  const whole = Buffer.from(out.view());
  assert.deepEqual(readFrame(whole, currentFormat), { kind: 'change', registers: [ban] });
  for (let i = 0; i < whole.length; i++) {
    const garbled = Buffer.from(whole);
    garbled[i]! ^= 0x10;
    const length = frameLength(garbled, 0);
    assert.ok(length !== whole.length || readFrame(garbled, currentFormat) === undefined, `byte ${i}`);
  }
});

test('the check sum is the CRC-32 of zlib', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.equal(crc32(bytes), zlibCrc32(bytes))));
});

test('a register survives being exported and imported', () => {
  fc.assert(
    fc.property(registers, (register) => {
      const line = encodeRegister(register);
      if (/[\p{Cc}\u2028\u2029]/u.test(textsOf(register))) {
        assert.throws(() => decodeRegister(line), { code: 'invalid' });
      } else {
        assert.deepEqual(normal(decodeRegister(line)), normal(register));
      }
    }),
  );
});

const textsOf = (register: Register) =>
  [('comment' in register && register.comment) || '', 'origin' in register ? register.origin.id : ''].join('');

const normal = (register: object) => ({
  ...register,
  ...('mark' in register && { mark: Buffer.from(register.mark as Uint8Array) }),
});

test('a line of an export reads well and is one line', () => {
  assert.equal(
    encodeRegister({ ...ban, comment: 'ssh\u2028\u202etxt' }),
    '{"kind":"entry","table":"bruteforce","op":"add","prefix":"192.0.2.10","expires":"2026-11-19T11:06:40.000Z",' +
      '"comment":"ssh\\u2028\\u202etxt","origin":{"kind":"pftabled","id":"198.51.100.9"},"at":"2026-11-18T11:06:40.000123Z","node":"fw1"}',
  );
});

test('lines that are no registers are refused with what is wrong', () => {
  const cases: [string, RegExp][] = [
    ['', /is not JSON/],
    ['[]', /is not a JSON object/],
    ['{}', /"kind" is missing/],
    ['{"kind":"entry"}', /"table" is missing/],
    [encodeRegister(ban).replace('192.0.2.10', '192.0.2.300'), /192\.0\.2\.300/],
    [encodeRegister(ban).replace('pftabled', 'root'), /"kind" is "\\"root\\""/],
    [encodeRegister(ban).replace('fw1', 'FW 1'), /"node"/],
    [encodeRegister(ban).replace('.000123Z', 'Z'), /"at"/],
    [encodeRegister(ban).replace('"expires":"2026-11-19', '"expires":"x'), /"expires"/],
    ['{"kind":"mark","protocol":"p","mark":"00","expires":"2026-11-19T11:06:40.000Z"}', /16 bytes in hex/],
  ];
  for (const [line, message] of cases) assert.throws(() => decodeRegister(line), { code: 'invalid', message }, line);
  assert.throws(() => checkHeader('{"postern":"state","format":7}'), { code: 'invalid', message: /format 7/ });
  assert.throws(() => checkHeader('{"kind":"entry"}'), { code: 'invalid', message: /no export/ });
  checkHeader(encodeHeader('fw1', 0));
});

test('a prefix has the key of records that travel', () => {
  assert.equal(prefixKey(parsePrefix('192.0.2.10/32')), '4c000020a20');
  assert.equal(prefixKey(parsePrefix('0.0.0.0/0')), '40000000000');
  assert.equal(prefixKey(parsePrefix('2001:db8::/32')), '620010db800000000000000000000000020');
});
