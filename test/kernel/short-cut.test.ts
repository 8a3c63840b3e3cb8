import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementsOver } from '../../src/kernel/elements.js';
import type { Exchange, TransactionResult } from '../../src/kernel/exchange.js';
import { ShortCut } from '../../src/kernel/short-cut.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { threadExchange } from '../../src/kernel/thread-exchange.js';
import { namespace } from './namespace.js';
import { testManifest, testSets } from './test-sets.js';

const COMMITTED: TransactionResult = { refused: [] };

/** Where transactions go, at a clock of its own. */
class Crossing {
  readonly ways: string[] = [];
  nowMs = 0;
  /** How long the next transaction takes. */
  takesMs = 0.05;
  threadIsIdle = true;

  readonly exchange = new ShortCut(
    {
      transact: async () => this.#made('near'),
      close: async () => void this.ways.push('near closed'),
    },
    this.#thread(),
    () => this.nowMs,
  );

  transact(bytes = 200): Promise<TransactionResult> {
    return this.exchange.transact(Buffer.alloc(bytes));
  }

  #made(way: string): TransactionResult {
    this.ways.push(way);
    this.nowMs += this.takesMs;
    return COMMITTED;
  }

  #thread(): Exchange & { idle: boolean } {
    const crossing = this;
    return {
      get idle() {
        return crossing.threadIsIdle;
      },
      transact: async () => crossing.#made('thread'),
      request: async () => [],
      dump: async () => {},
      list: () => Promise.reject(new Error('nothing to list')),
      close: async () => void crossing.ways.push('thread closed'),
    };
  }
}

test('small transactions are made on the spot, large ones in the thread', async () => {
  const crossing = new Crossing();
  await crossing.transact(1_024);
  await crossing.transact(1_025);
  assert.deepEqual(crossing.ways, ['near', 'thread']);
});

test('while the thread is at work it gets all transactions', async () => {
  const crossing = new Crossing();
  crossing.threadIsIdle = false;
  await crossing.transact();
  crossing.threadIsIdle = true;
  await crossing.transact();
  assert.deepEqual(crossing.ways, ['thread', 'near']);
});

test('after a slow transaction the next ones go to the thread: for longer, when it happens again', async () => {
  const crossing = new Crossing();
  // How long each detour lasts: the last two are as long as they get.
  for (const detourMs of [100, 1_000, 10_000, 10_000]) {
    crossing.takesMs = 15;
    await crossing.transact();
    crossing.takesMs = 0;
    await crossing.transact();
    crossing.nowMs += detourMs - 1;
    await crossing.transact();
    crossing.nowMs += 1;
    await crossing.transact();
    assert.deepEqual(crossing.ways.splice(0), ['near', 'thread', 'thread', 'near'], `${detourMs} ms`);
  }
});

test('a slow transaction that is the first for long is taken for an accident', async () => {
  const crossing = new Crossing();
  for (let accident = 0; accident < 3; accident++) {
    crossing.takesMs = 15;
    await crossing.transact();
    crossing.takesMs = 0;
    crossing.nowMs += 100;
    await crossing.transact();
    assert.deepEqual(crossing.ways.splice(0), ['near', 'near']);
    crossing.nowMs += 10_001;
  }
});

test('once closed, both ways are shut and the thread has the last word', async () => {
  const crossing = new Crossing();
  await crossing.exchange.close();
  await crossing.transact();
  assert.deepEqual(crossing.ways, ['near closed', 'thread closed', 'thread']);
});

test('both ways change the same set, and a refused element is named on either', async (t) => {
  const space = await namespace(t);
  await space.nft(testSets);
  const thread = threadExchange({ namespace: space.name });
  const elements = elementsOver(new ShortCut(netfilterExchange(space.name), thread), {
    destroy: true,
    updateTimeout: true,
    resetElements: true,
    filterStates: true,
  });
  t.after(() => elements.close());
  elements.adopt(testManifest);
  const [hosts, counted] = [0, 1];
  const address = (last: number) => Uint8Array.of(192, 0, 2, last);
  for (let last = 1; last <= 4; last++) await elements.change([{ op: 'add', set: hosts, key: address(last) }]);
  const many = Array.from({ length: 200 }, (_, last) => ({ op: 'add', set: counted, key: address(last) }) as const);
  await elements.change(many);
  // The set has room for four.
  await assert.rejects(elements.change([{ op: 'add', set: hosts, key: address(5) }]), { code: 'full' });
  await assert.rejects(elements.change([{ op: 'add', set: hosts, key: address(6) }, ...many]), { code: 'full' });
  await elements.change([{ op: 'delete', set: hosts, key: address(1) }]);
  assert.deepEqual((await elements.dump(hosts)).map(({ key }) => key[3]).sort(), [2, 3, 4]);
  assert.equal((await elements.dump(counted)).length, 200);
});
