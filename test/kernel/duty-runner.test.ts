import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DutyRunner, type ReplySender } from '../../src/kernel/duty-runner.js';
import type { DutySpec, PacketDuty } from '../../src/kernel/packet-duty.js';
import { COUNTERS, type CounterName } from '../../src/kernel/packet-messages.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import { LoggedPacket } from '../../src/wire/nflog.js';

const SPEC: DutySpec = { name: 'd', group: 1, module: '', spec: {}, copyBytes: 128 };

function sending(): ReplySender & { queued(): number } {
  let queued = 0;
  let noted = 0;
  return {
    slot() {
      queued++;
      return new DataView(new ArrayBuffer(2048));
    },
    slotBack() {
      return new DataView(new ArrayBuffer(2048));
    },
    queued: () => queued,
    note() {
      noted = queued;
    },
    takeBack() {
      queued = noted;
    },
  };
}

function running(duty: Partial<PacketDuty> = {}, spec: Partial<DutySpec> = {}) {
  const row = new Float64Array(COUNTERS.length);
  const sender = sending();
  const runner = new DutyRunner({ ...SPEC, ...spec }, { packet: () => {}, ...duty }, row, sender);
  const counter = (name: CounterName) => row[COUNTERS.indexOf(name)];
  return { runner, counter, sender };
}

function packet(sequence: number): LoggedPacket {
  const logged = new LoggedPacket();
  logged.sequence = sequence;
  return logged;
}

test('gaps in the sequence are losses, also where the numbers start over', () => {
  const numbers = [7, 8, 9, 12, 0xffff_fffe, 0xffff_ffff, 0, 3];
  const { runner, counter } = running();
  for (const sequence of numbers.slice(0, 4)) runner.packet(packet(sequence), 0);
  assert.equal(counter('lost'), 2);
  runner.rebound();
  for (const sequence of numbers.slice(4)) runner.packet(packet(sequence), 0);
  assert.equal(counter('lost'), 4);
  assert.equal(counter('packets'), 8);
});

test('whatever is lost, packets seen and lost add up', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.array(fc.nat(1000), { minLength: 1, maxLength: 50 }), (first, gaps) => {
      const { runner, counter } = running();
      let sequence = first;
      runner.packet(packet(sequence), 0);
      for (const gap of gaps) {
        sequence = (sequence + gap + 1) >>> 0;
        runner.packet(packet(sequence), 0);
      }
      assert.equal(
        counter('lost'),
        gaps.reduce((sum, gap) => sum + gap, 0),
      );
    }),
  );
});

test('a number that comes late is no loss', () => {
  const { runner, counter } = running();
  for (const sequence of [10, 9, 11]) runner.packet(packet(sequence), 0);
  assert.equal(counter('lost'), 0);
});

test('datagrams are shared above 20,000 packets a second and single again below 10,000', () => {
  const { runner, counter } = running();
  let nowMs = 1000;
  const second = (packets: number) => {
    for (let index = 0; index < packets / 10; index++) runner.packet(packet(index), nowMs);
    nowMs += 100;
    return runner.newThreshold(nowMs);
  };
  assert.equal(second(0), undefined);
  assert.equal(second(19_000), undefined);
  assert.equal(second(21_000), 64);
  assert.equal(counter('threshold'), 64);
  assert.equal(second(15_000), undefined);
  assert.equal(runner.newThreshold(nowMs + 99), undefined);
  assert.equal(second(9_000), 1);
  assert.equal(counter('threshold'), 1);
});

test('events wait for the main thread up to a bound', () => {
  const { runner, counter } = running({ packet: (_packet, out) => out.event('e') });
  for (let index = 0; index < 1500; index++) runner.packet(packet(index), 0);
  assert.equal(runner.takeEvents().length, 1000);
  assert.deepEqual([counter('events'), counter('eventsDropped')], [1000, 500]);
  assert.equal(runner.takeEvents().length, 0);
  runner.packet(packet(1500), 0);
  assert.deepEqual(runner.takeEvents(), ['e']);
});

test('a duty that fails sends nothing of what it began', () => {
  const { runner, counter, sender } = running(
    {
      packet: (_packet, out) => {
        out.reply(4, 40);
        out.reply(6, 60);
        throw new Error('no');
      },
      tick: () => {
        throw new Error('no');
      },
    },
    { replies: { perSecond: 100, burst: 100 } },
  );
  runner.packet(packet(1), 0);
  runner.tick(0);
  assert.deepEqual([sender.queued(), counter('failures')], [0, 2]);
});

test('a reply too short or too long for a packet is a failure of the duty', () => {
  for (const bytes of [19, 1501]) {
    const { runner, counter, sender } = running(
      { packet: (_packet, out) => void out.reply(4, bytes) },
      { replies: { perSecond: 100, burst: 100 } },
    );
    runner.packet(packet(1), 0);
    assert.deepEqual([sender.queued(), counter('failures')], [0, 1]);
  }
});

test('a token bucket never gives more than its burst and its rate allow', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.nat(500), { maxLength: 200 }),
      (perSecond, burst, waits) => {
        const bucket = new TokenBucket(perSecond, burst);
        let nowMs = 10_000;
        let given = 0;
        for (const wait of waits) {
          nowMs += wait;
          if (bucket.take(nowMs)) given++;
        }
        assert.ok(given <= burst + ((nowMs - 10_000) * perSecond) / 1000);
      },
    ),
  );
});

test('a token bucket gives all of its burst at once and refills with time', () => {
  const bucket = new TokenBucket(10, 3);
  assert.deepEqual(
    [0, 0, 0, 0].map((nowMs) => bucket.take(nowMs)),
    [true, true, true, false],
  );
  assert.equal(bucket.take(99), false);
  assert.equal(bucket.take(100), true);
  assert.equal(bucket.take(100), false);
});

test('an answer goes back only on a way that is known, and within the limit', () => {
  const { runner, sender, counter } = running({}, { replies: { perSecond: 1, burst: 2 } });
  const ways: string[] = [];
  const slotBy = (way: string) => () => {
    ways.push(way);
    return new DataView(new ArrayBuffer(2048));
  };
  sender.slot = slotBy('routes');
  sender.slotBack = slotBy('back');
  const framed = packet(1);
  framed.frameFrom = 20;
  for (const copy of [packet(0), framed, framed]) runner.replyBack(copy, 4, 40);
  assert.deepEqual(ways, ['routes', 'back']);
  assert.deepEqual([counter('replies'), counter('limited')], [2, 1]);
});
