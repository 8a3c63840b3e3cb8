/** STEAL through the real kernel: a sender that isn't told. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { encodePacket } from '../../../src/wire/packet.js';
import { udp } from '../scratch-world.js';
import { targetBed } from './bed.js';

const { host, policy } = await targetBed({ after });

test('STEAL takes what this host sends without an error, and lets others go', async () => {
  await policy('output', '{ udp: 4004, out: [wan, lan], do: steal }', '{ udp: 4005, out: wan, do: drop }');
  for (const [from, to] of [
    ['192.0.2.1', '203.0.113.9'],
    ['2001:db8::1', '2001:db8:9::9'],
  ] as const) {
    const packet = (port: number) => encodePacket(udp(from, to, port));
    const [stolen] = await host.scratch.inject([{ packet: packet(4004), at: { local: {} } }]);
    assert.deepEqual([stolen!.refused, stolen!.frames.length], [undefined, 0], to);
    const [dropped] = await host.scratch.inject([{ packet: packet(4005), at: { local: {} } }]);
    assert.equal(dropped!.refused, 'EPERM', 'a drop is told');
    const [other] = await host.scratch.inject([{ packet: packet(4006), at: { local: {} } }]);
    assert.equal(other!.frames.length, 1);
  }
});
