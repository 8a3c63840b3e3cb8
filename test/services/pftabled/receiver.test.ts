import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { PosternError } from '../../../src/errors.js';
import { type PftabledEffects, PftabledReceiver } from '../../../src/services/pftabled/receiver.js';
import type { PftabledRules } from '../../../src/services/pftabled/verify.js';
import { MemoryReplayWindow } from '../../../src/services/replay-window.js';
import type { Validity } from '../../../src/store/store.js';
import { encodePftabled, type PftabledMessage, pftabledKey } from '../../../src/wire/pftabled.js';
import { TableDouble } from './table-double.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const key = pftabledKey(Buffer.alloc(20, 7));
const startS = 1_700_000_000;
const peer = '198.51.100.7';

const message: PftabledMessage = {
  version: 2,
  command: 1,
  mask: 32,
  address: 0xc000_0201,
  table: 'spammer',
  timestamp: startS,
};

function world(effects: Partial<PftabledEffects> = {}, rules: Partial<PftabledRules> = {}, size?: number) {
  const clock = { ms: startS * 1000 };
  const now = () => clock.ms;
  const tables = new TableDouble(['spammer', 'jail'], now, size);
  const lines: string[] = [];
  const receiver = new PftabledReceiver(
    { key, tables: new Set(['spammer', 'jail']), ...rules },
    { tables, window: new MemoryReplayWindow(now), log: { warn: (line) => lines.push(line) }, now, ...effects },
  );
  const send = (change: Partial<PftabledMessage>, from = peer) =>
    receiver.receive(encodePftabled({ ...message, ...change }, key), from);
  const counts = () => Object.fromEntries([...receiver.counts].filter(([, count]) => count > 0));
  return { clock, tables, receiver, lines, send, counts };
}

test('a long row is several changes, each small enough to be one transaction', async () => {
  const { tables, send, receiver, counts } = world();
  for (let address = 1; address <= 2_500; address++) send({ address });
  await receiver.settled();
  const sizes = tables.calls.map((call) => call.split(' ').length - 4);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    2_500,
  );
  assert.ok(Math.max(...sizes) <= 1_000, String(sizes));
  assert.deepEqual(counts(), { added: 2_500 });
});

test('requests change tables in their order, those of a row at once', async () => {
  const { tables, send, receiver, counts } = world();
  send({ address: 1 });
  send({ address: 2 });
  send({ address: 3 });
  send({ address: 2, command: 2 });
  send({ table: 'jail', address: 4 });
  send({ table: 'jail', address: 5 }, '198.51.100.8');
  send({ command: 3 });
  send({ address: 6, mask: 24 });
  await receiver.settled();
  assert.deepEqual(tables.calls, [
    'add spammer 0.0.0.1 0.0.0.2 0.0.0.3 by 198.51.100.7',
    'delete spammer 0.0.0.2 by 198.51.100.7',
    'add jail 0.0.0.4 by 198.51.100.7',
    'add jail 0.0.0.5 by 198.51.100.8',
    'flush spammer by 198.51.100.7',
    'add spammer 0.0.0.0/24 by 198.51.100.7',
  ]);
  assert.deepEqual(tables.present(), ['jail 0.0.0.4', 'jail 0.0.0.5', 'spammer 0.0.0.0/24']);
  assert.deepEqual(counts(), { added: 6, deleted: 1, flushed: 1 });
});

test('a datagram that came before is refused while the clock would take it, and by the clock afterwards', async () => {
  const { tables, send, receiver, counts, clock } = world();
  send({});
  send({});
  await receiver.settled();
  clock.ms += 60_999;
  send({});
  await receiver.settled();
  assert.deepEqual(counts(), { added: 1, replay: 2 });
  clock.ms += 1;
  send({});
  await receiver.settled();
  assert.deepEqual(counts(), { added: 1, replay: 2, clock: 1 });
  assert.equal(tables.calls.length, 1);
});

test('an altered byte 3 does not make a version 1 request a new one', async () => {
  const { receiver, counts } = world();
  const datagram = encodePftabled({ ...message, version: 1, mask: 32 }, key);
  for (const byte3 of [32, 0, 24]) {
    datagram[3] = byte3;
    receiver.receive(datagram, peer);
  }
  await receiver.settled();
  assert.deepEqual(counts(), { added: 1, replay: 2 });
});

test('the replay window is told when the clock check takes a request, to the millisecond', async () => {
  const valid: Validity[] = [];
  const { send, receiver, clock, counts } = world({
    window: {
      take: (_mark, when) => {
        valid.push(when);
        return true;
      },
    },
  });
  send({ timestamp: startS + 60 });
  await receiver.settled();
  assert.deepEqual(valid, [{ from: startS * 1000, until: (startS + 121) * 1000 }]);
  for (const [ms, result] of [
    [valid[0]!.from - 1, 'clock'],
    [valid[0]!.from, 'added'],
    [valid[0]!.until - 1, 'added'],
    [valid[0]!.until, 'clock'],
  ] as const) {
    const before = counts()[result] ?? 0;
    clock.ms = ms;
    send({ timestamp: startS + 60 });
    await receiver.settled();
    assert.equal(counts()[result], before + 1, `at ${ms}`);
  }
});

test('an entry that is added again stays until the later timeout', async () => {
  const { tables, send, receiver, clock } = world({ timeoutMs: 10_000 });
  send({});
  await receiver.settled();
  clock.ms += 6000;
  send({ timestamp: startS + 6 });
  await receiver.settled();
  clock.ms += 9999;
  assert.deepEqual(tables.present(), ['spammer 192.0.2.1']);
  clock.ms += 1;
  assert.deepEqual(tables.present(), []);
});

test('a table that is full takes what it has room for; the rest is counted', async () => {
  const { tables, send, receiver, counts } = world({}, {}, 3);
  for (let address = 1; address <= 6; address++) send({ address });
  await receiver.settled();
  assert.deepEqual(counts(), { added: 3, full: 3 });
  assert.deepEqual(tables.present(), ['spammer 0.0.0.1', 'spammer 0.0.0.2', 'spammer 0.0.0.3']);
});

test('failures of tables and of the replay window are counted by kind and end nothing', async () => {
  const { send, receiver, counts } = world({}, { tables: new Set(['spammer', 'gone']) });
  send({ table: 'gone' });
  await receiver.settled();
  assert.deepEqual(counts(), { table: 1 });

  const failing = (error: Error) => ({
    take: () => {
      throw error;
    },
  });
  const busy = world({ window: failing(new PosternError('busy', 'full of marks')) });
  busy.send({});
  await busy.receiver.settled();
  assert.deepEqual([busy.counts(), busy.tables.calls], [{ busy: 1 }, []]);

  const broken = world({ window: failing(new Error('disk')) });
  broken.send({});
  await broken.receiver.settled();
  assert.deepEqual([broken.counts(), broken.tables.calls], [{ failed: 1 }, []]);
});

test('additions do not wait for each other, up to a bound; a deletion waits for all before it, and all after it for it', async () => {
  const waiting: (() => void)[] = [];
  const calls: string[] = [];
  const call = (what: string) => async () => {
    calls.push(what);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return { added: 1, changed: 0, deleted: 0, unchanged: 0, refused: 0 };
  };
  const { send, receiver, counts } = world({
    tables: { add: call('add'), delete: call('delete'), flush: call('flush') },
  });
  const settle = () => new Promise(setImmediate);
  const answer = async () => {
    waiting.shift()?.();
    await settle();
  };
  // Each from another peer, so that each is a change of its own.
  for (let n = 1; n <= 6; n++) send({ address: n }, `198.51.100.${n}`);
  send({ command: 2 });
  send({ address: 9 });
  await settle();
  assert.deepEqual(calls, ['add', 'add', 'add', 'add']);
  for (let n = 0; n < 5; n++) await answer();
  assert.deepEqual(calls.slice(4), ['add', 'add']);
  await answer();
  assert.deepEqual(calls.slice(6), ['delete']);
  await answer();
  assert.deepEqual(calls.slice(6), ['delete', 'add']);
  await answer();
  await receiver.settled();
  assert.deepEqual(counts(), { added: 7, deleted: 1 });
});

test('what the policy says otherwise of is counted apart', async () => {
  const refusing = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 1 };
  const tables = { add: async () => refusing, delete: async () => refusing, flush: async () => refusing };
  const { send, receiver, counts } = world({ tables });
  send({});
  send({ command: 2 });
  send({ command: 3 });
  await receiver.settled();
  assert.deepEqual(counts(), { policy: 2, flushed: 1 });
});

test('each kind of refusal is logged with its peer and its reason, some lines of a flood at most', async () => {
  const { lines, receiver, send, clock } = world();
  send({ table: 'other' });
  for (let i = 0; i < 1000; i++) receiver.receive(Buffer.alloc(9), peer);
  assert.match(lines[0]!, /refused a datagram from 198\.51\.100\.7: unknown table/);
  assert.equal(lines.length, 6);
  clock.ms += 10_000;
  receiver.receive(Buffer.alloc(9), peer);
  assert.match(lines.at(-1)!, /not 64 bytes long \(and 995 more like it\)/);
  await receiver.settled();
});

test('what waits for slow tables is bounded, and nothing that was taken in is lost', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let added = 0;
  const count = { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 };
  const tables = {
    async add(_: string, entries: readonly unknown[]) {
      await gate;
      added += entries.length;
      return count;
    },
    delete: async () => count,
    flush: async () => count,
  };
  const { send, receiver, counts } = world({ tables });
  const sent = 50_000;
  for (let address = 0; address < sent; address++) send({ address });
  release();
  await receiver.settled();
  const { added: done, busy } = counts();
  assert.equal(done, added);
  assert.equal(done! + busy!, sent);
  assert.ok(added >= 32_768 && added < sent);
});

test('a flood of forged datagrams leaves nothing behind', async () => {
  const { receiver, tables, counts } = world();
  const forged = encodePftabled(message);
  const held = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  receiver.receive(forged, peer);
  const before = held();
  for (let i = 0; i < 50_000; i++) {
    forged.writeUInt32BE(i, 4);
    receiver.receive(forged, peer);
  }
  await receiver.settled();
  assert.deepEqual(counts(), { digest: 50_001 });
  assert.deepEqual(tables.calls, []);
  assert.ok(held() - before < 2 ** 20);
});

test('every flipped bit of a signed datagram is refused, and changes nothing', async () => {
  const { receiver, tables, counts } = world();
  const datagram = encodePftabled({ ...message, mask: 24 }, key);
  for (let bit = 0; bit < 64 * 8; bit++) {
    const flipped = Buffer.from(datagram);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    receiver.receive(flipped, peer);
  }
  await receiver.settled();
  const { digest, version, clock, ...rest } = counts();
  assert.deepEqual(rest, {});
  assert.equal(digest! + version! + clock!, 512);
  assert.deepEqual(tables.calls, []);
});
