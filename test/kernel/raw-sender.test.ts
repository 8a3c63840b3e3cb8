import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawSender, SEND_BATCH } from '../../src/kernel/raw-sender.js';
import { encodePacket } from '../../src/wire/packet.js';
import { namespace } from './namespace.js';
import { udp } from './scratch-world.js';

const packet = encodePacket(udp('127.0.0.1', '127.0.0.1', 9));

const cases: readonly (readonly [before: number, since: number, sent: number, what: string])[] = [
  [0, 3, 0, 'all that was queued is taken back'],
  [5, 3, 5, 'what was queued before stays'],
  [SEND_BATCH - 1, 3, SEND_BATCH, 'what left with a full batch is gone, what came behind it is taken back'],
];

for (const [before, since, sent, what] of cases) {
  test(what, async (t) => {
    const sender = new RawSender((await namespace(t)).name);
    t.after(async () => sender.close());
    const queue = (packets: number) => {
      for (let left = packets; left > 0; left--) sender.queue(packet);
    };
    queue(before);
    sender.note();
    queue(since);
    sender.takeBack();
    sender.flush();
    assert.deepEqual(sender.counts, { sent, failed: 0 });
  });
}
