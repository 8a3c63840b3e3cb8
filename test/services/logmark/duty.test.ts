import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionMark, connectionNumber } from '../../../src/extensions/logmark.js';
import type { DutyOutput } from '../../../src/kernel/packet-duty.js';
import { createDuty, type MarkedCopy } from '../../../src/services/logmark/duty.js';
import type { LoggedPacket } from '../../../src/wire/nflog.js';

function world() {
  const told: MarkedCopy[] = [];
  const duty = createDuty(undefined);
  const out: DutyOutput = {
    reply: () => undefined,
    replyBack: () => undefined,
    event: (event) => told.push(event as MarkedCopy),
  };
  return {
    told,
    copy: (prefix: string, packet: string, mark = 0, nowMs = 0) =>
      duty.packet({ prefix, mark, hook: 1, inDevice: 2, payload: Buffer.from(packet) } as LoggedPacket, out, nowMs),
    tick: (nowMs: number) => duty.tick!(nowMs, out),
  };
}

const seen = '4 NEW ORIGINAL 0 ';

test('the copies of a packet come together, also when those of others lie between them', () => {
  const { copy, told } = world();
  copy(seen, 'one', 0x11);
  copy(seen, 'two', 0x22);
  copy(connectionMark, 'two', 0x77);
  copy(connectionMark, 'one', 0x66);
  copy(connectionNumber, 'one', 1001);
  copy(connectionNumber, 'two', 1002);
  assert.deepEqual(
    told.map(({ packet, mark, connection }) => [Buffer.from(packet).toString(), mark, connection]),
    [
      ['one', 0x11, { mark: 0x66, id: 1001 }],
      ['two', 0x22, { mark: 0x77, id: 1002 }],
    ],
  );
});

test('a packet without a connection is told at once, one whose other copies stay away after a while', () => {
  const { copy, told, tick } = world();
  copy('4 INVALID ORIGINAL 0 ', 'bad');
  assert.equal(told.length, 1);
  copy(seen, 'alone', 0x11, 1_000);
  tick(1_050);
  assert.equal(told.length, 1);
  tick(1_100);
  assert.deepEqual([told.length, told[1]?.mark, told[1]?.connection], [2, 0x11, undefined]);
});

test('no more than a bounded number of packets waits', () => {
  const { copy, told } = world();
  for (let number = 0; number < 300; number++) copy(seen, `packet ${number}`);
  assert.equal(told.length, 300 - 256);
  assert.equal(Buffer.from(told[0]!.packet).toString(), 'packet 0');
});

test('copies that belong to no packet are passed over', () => {
  const { copy, told } = world();
  copy(connectionMark, 'lost', 1);
  copy(connectionNumber, 'lost', 2);
  assert.deepEqual(told, []);
});
