import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { PosternError } from '../../src/errors.js';
import {
  addressBytes,
  addressFromBytes,
  compareAddresses,
  formatAddress,
  parseAddress,
} from '../../src/net/address.js';
import { addresses } from './arbitraries.js';

test('an address reads back as it was written', () => {
  fc.assert(
    fc.property(addresses, (address) => {
      assert.deepEqual(parseAddress(formatAddress(address)), address);
      assert.deepEqual(addressFromBytes(addressBytes(address)), address);
    }),
  );
});

test('IPv6 addresses are written as RFC 5952 says', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0::1', '::1'],
    ['fe80::', 'fe80::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ];
  for (const [written, canonical] of cases) assert.equal(formatAddress(parseAddress(written)), canonical, written);
});

test('an IPv4-mapped address stays IPv6', () => {
  assert.deepEqual(parseAddress('::ffff:192.0.2.1'), { family: 6, value: 0xffff_c000_0201n });
});

test('what is no address is refused with the text in the message', () => {
  const wrong = [
    ...['', ' ', '192.0.2', '192.0.2.1.5', '192.0.2.256', '192.0.02.1', '00.0.0.0', '1.2.3.', '.1.2.3', '1..2.3'],
    ...['192.0.2.1 ', ' 192.0.2.1', '0x7f.0.0.1', '1.2.3.4/32', '+1.2.3.4', '1.2.3.-4', '१.2.3.4', 'host'],
    ...[':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8'],
    ...[
      '12345::',
      'g::',
      '1.2.3.4::',
      '::1.2.3',
      '::1.2.3.4:5',
      '::01.2.3.4',
      ':1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:',
      '[::1]',
    ],
    ...['fe80::1%eth0', '::1 '],
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseAddress(text),
      (error) =>
        error instanceof PosternError && error.code === 'invalid' && error.message.startsWith(JSON.stringify(text)),
      text,
    );
  }
});

test('the zone of an address is named as the problem', () => {
  assert.throws(() => parseAddress('fe80::1%eth0'), /zone/);
});

test("random text is taken exactly when Node's own parser takes it", () => {
  const characters = fc.string({ unit: fc.constantFrom(...'0123456789af.:'), maxLength: 18 });
  fc.assert(
    fc.property(characters, (text) => {
      let family = 0;
      try {
        family = parseAddress(text).family;
      } catch {}
      assert.equal(family, isIP(text));
    }),
    { numRuns: 2000 },
  );
});

test('addresses are in order of family, then value', () => {
  const order = ['::', '10.0.0.1', '::1', '9.255.255.255', 'ffff::', '255.0.0.0']
    .map(parseAddress)
    .sort(compareAddresses);
  assert.deepEqual(order.map(formatAddress), ['9.255.255.255', '10.0.0.1', '255.0.0.0', '::', '::1', 'ffff::']);
});

test('bytes of another length are no address', () => {
  assert.throws(() => addressFromBytes(new Uint8Array(5)), /4 or 16/);
});
