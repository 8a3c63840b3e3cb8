import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMac, macBytes, parseMac } from '../../src/net/mac.js';
import { parseDevice, parseName } from '../../src/net/name.js';
import { formatPortRange, parsePort, parsePortRange, serviceName, serviceNames } from '../../src/net/port.js';
import { formatProtocol, parseProtocol, protocolNames } from '../../src/net/protocol.js';
import { services } from '../../src/net/services.js';
import { quoted } from '../../src/net/text.js';

test('ports are numbers or names of services', () => {
  assert.equal(parsePort('22'), 22);
  assert.equal(parsePort('0'), 0);
  assert.equal(parsePort('65535'), 65_535);
  assert.equal(parsePort('SSH'), 22);
  assert.equal(parsePort('syslog', 'udp'), 514);
  assert.equal(parsePort('ntp', 'tcp'), 123);
  for (const text of ['', '65536', '022', '-1', '1.5', 'nonesuch', ' 22', '99999', '100000']) {
    assert.throws(() => parsePort(text), { code: 'invalid' }, text);
  }
});

test('port ranges have two ends, and names with dashes are names', () => {
  assert.deepEqual(parsePortRange('1024-65535'), { first: 1024, last: 65_535 });
  assert.deepEqual(parsePortRange('ftp-data'), { first: 20, last: 20 });
  assert.deepEqual(parsePortRange('ftp-data-ftp'), { first: 20, last: 21 });
  assert.deepEqual(parsePortRange('ssh-80'), { first: 22, last: 80 });
  assert.throws(() => parsePortRange('80-22'), /swap/);
  for (const text of ['-22', '22-', '1-2-3', '1-70000', '']) {
    assert.throws(() => parsePortRange(text), { code: 'invalid' }, text);
  }
  fc.assert(
    fc.property(fc.nat(65_535), fc.nat(65_535), (a, b) => {
      const range = { first: Math.min(a, b), last: Math.max(a, b) };
      assert.deepEqual(parsePortRange(formatPortRange(range)), range);
    }),
  );
});

test('no service name stands for two ports of one protocol', () => {
  for (const protocol of ['tcp', 'udp']) {
    const own = services.filter((service) => service.protocol === protocol || service.protocol === 'both');
    const words = own.flatMap((service) => [service.name, ...service.aliases]);
    assert.deepEqual(
      words.filter((word, index) => words.indexOf(word) !== index),
      [],
    );
  }
  for (const name of serviceNames) assert.match(name, /^[a-z0-9-]+$/);
  assert.equal(serviceName(22, 'tcp'), 'ssh');
  assert.equal(serviceName(1, 'udp'), undefined);
});

test('protocols are names or numbers', () => {
  assert.equal(parseProtocol('tcp'), 6);
  assert.equal(parseProtocol('ipv6-icmp'), 58);
  assert.equal(parseProtocol('255'), 255);
  assert.equal(formatProtocol(112), 'vrrp');
  assert.equal(formatProtocol(253), '253');
  for (const name of protocolNames)
    assert.equal(parseProtocol(formatProtocol(parseProtocol(name))), parseProtocol(name));
  for (const text of ['', '256', '06', 'TCP/IP', '-1'])
    assert.throws(() => parseProtocol(text), { code: 'invalid' }, text);
});

test('Ethernet addresses read back as they were written', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 48 - 1), (value) => {
      assert.deepEqual(parseMac(formatMac({ value })), { value });
      assert.equal(Buffer.from(macBytes({ value })).toString('hex'), value.toString(16).padStart(12, '0'));
    }),
  );
  assert.equal(formatMac(parseMac('00-00-5E-00-53-01')), '00:00:5e:00:53:01');
  for (const text of [
    '',
    '00:00:5e:00:53',
    '00:00:5e:00:53:01:02',
    '00:00-5e:00:53:01',
    '0:0:5e:0:53:1',
    'zz:00:5e:00:53:01',
  ]) {
    assert.throws(() => parseMac(text), { code: 'invalid' }, text);
  }
});

test('names have letters, digits and few signs, up to the bound of their kind', () => {
  for (const name of ['bruteforce', 'spamd-white', '_x', 'a.b', 'x'.repeat(31)])
    assert.equal(parseName('table', name), name);
  for (const name of ['', '1st', '-x', 'a b', 'a/b', 'ä', 'x'.repeat(32), 'a\0', '<x>']) {
    assert.throws(() => parseName('table', name), { code: 'invalid' }, name);
  }
  assert.equal(parseName('chain', 'x'.repeat(63)).length, 63);
});

test('device names are what the kernel takes, with a star for any that begins so', () => {
  for (const name of ['eth0', 'br-lan', 'ppp*', 'eth0.100', 'a'.repeat(15), `${'a'.repeat(15)}*`]) {
    assert.equal(parseDevice(name), name);
  }
  for (const name of ['', '*', '.', '..', 'a b', 'a/b', 'a:b', 'a'.repeat(16), 'e*h0', 'a"b', 'a\0']) {
    assert.throws(() => parseDevice(name), { code: 'invalid' }, name);
  }
});

test('text in messages is quoted, escaped and cut', () => {
  assert.equal(quoted('a"\n'), '"a\\"\\n"');
  assert.equal(quoted('x'.repeat(500)).length, 83);
});
