/** CHECKSUM through the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { udp } from '../scratch-world.js';
import { targetBed } from './bed.js';

const { leaving, policy } = await targetBed({ after });

test('CHECKSUM sends UDP over IPv4 without a checksum, and leaves IPv6 alone', async () => {
  await policy('postrouting', '{ udp: 68, out: lan, do: { checksum: { guests: true } } }');
  const [four] = await leaving(udp('192.0.2.9', '198.51.100.9', 68));
  assert.equal(four?.bytes.readUInt16BE(26), 0);
  const [six] = await leaving(udp('2001:db8:7::9', '2001:db8:1::9', 68));
  assert.notEqual(six?.bytes.readUInt16BE(46), 0);
});
