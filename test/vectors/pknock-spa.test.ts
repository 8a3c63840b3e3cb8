import assert from 'node:assert/strict';
import { parseAddress } from '../../src/net/address.js';
import { encodeSpa, spaMinute, verifySpa } from '../../src/wire/spa.js';
import { testVectors, type Vector } from './vectors.js';

interface SpaVector extends Vector {
  readonly secret: string;
  readonly src_ip: string;
  readonly unix_time: number;
  readonly epoch_minute: number;
  readonly exit_code: number;
  readonly datagram_hex: string | null;
}

const differences = {
  'nothing was sent': 'the tool refused its arguments and sent nothing to compare with',
  'no IPv4 address': 'the tool packs what it is given as an address; ours are parsed',
};

testVectors<SpaVector, keyof typeof differences>('pknock-spa', differences, (vector) => {
  if (vector.datagram_hex === null || vector.exit_code !== 0) return ['nothing was sent'];
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(vector.src_ip)) return ['no IPv4 address'];
  const secret = Buffer.from(vector.secret);
  const source = parseAddress(vector.src_ip);
  const minute = spaMinute(vector.unix_time * 1000);
  assert.equal(minute, vector.epoch_minute);
  const datagram = Buffer.from(vector.datagram_hex, 'hex');
  assert.equal(encodeSpa(secret, source, minute).toString('hex'), vector.datagram_hex);
  assert.ok(verifySpa(datagram, secret, source, minute));
  assert.ok(!verifySpa(datagram, secret, source, minute + 1), 'the next minute');
  assert.ok(!verifySpa(datagram, Buffer.from(`${vector.secret}.`), source, minute), 'another secret');
  return [];
});
