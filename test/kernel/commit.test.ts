import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PosternError } from '../../src/errors.js';
import { type CommitEdge, groupCommit } from '../../src/kernel/commit.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import type { RefusedChange } from '../../src/kernel/nf.js';

/** Sets of elements that behave as the kernel: all or nothing, a bound per set. Time stands until `advance`. */
class FakeSets implements CommitEdge {
  readonly sets = new Map<number, Set<string>>();
  readonly transactions: ElementChange[][] = [];
  /** Elements that the kernel refuses. */
  refuses = (_key: string): boolean => false;
  bound = Number.POSITIVE_INFINITY;
  failures: Error[] = [];
  #now = 1000;
  #timers: { at: number; run: () => void }[] = [];

  validate(changes: readonly ElementChange[]): void {
    for (const change of changes) {
      if (change.set < 0) throw new PosternError('not-found', `set ${change.set}`);
    }
  }

  now(): number {
    return this.#now;
  }

  later(delayMs: number, run: () => void): void {
    this.#timers.push({ at: this.#now + delayMs, run });
  }

  afterwards(run: () => void): void {
    this.later(0, run);
  }

  async advance(ms: number): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; this.#now++) await this.tick();
    await this.tick();
  }

  async tick(): Promise<void> {
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { run } of due) run();
    for (let turn = 0; turn < 400; turn++) await Promise.resolve();
  }

  prepare: CommitEdge['prepare'] = (changes, options) => () => this.transact(changes, options);

  async transact(changes: readonly ElementChange[], { separate = false } = {}): Promise<readonly RefusedChange[]> {
    this.transactions.push([...changes]);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const next = new Map([...this.sets].map(([set, keys]) => [set, new Set(keys)]));
    const refused: RefusedChange[] = [];
    changes.forEach((change, index) => {
      const error = this.#apply(next, change);
      if (error !== undefined) refused.push({ index, error });
    });
    if (refused.length === 0) {
      this.sets.clear();
      for (const [set, keys] of next) this.sets.set(set, keys);
    }
    const [first] = refused;
    return separate || first === undefined ? refused : changes.map((_, index) => ({ index, error: first.error }));
  }

  #apply(sets: Map<number, Set<string>>, change: ElementChange): PosternError | undefined {
    const keys = sets.get(change.set) ?? new Set();
    sets.set(change.set, keys);
    if (change.op === 'flush') keys.clear();
    else if (change.op === 'delete') keys.delete(String(change.key));
    else if (this.refuses(String(change.key))) return new PosternError('kernel', `refused ${change.key}`);
    else if (keys.size >= this.bound && !keys.has(String(change.key))) return new PosternError('full', 'full');
    else keys.add(String(change.key));
    return undefined;
  }

  keys(set = 0): string[] {
    return [...(this.sets.get(set) ?? [])].sort();
  }
}

function add(key: number, set = 0): ElementChange {
  return { op: 'add', set, key: Uint8Array.of(key) };
}

function remove(key: number, set = 0): ElementChange {
  return { op: 'delete', set, key: Uint8Array.of(key) };
}

test('calls that come together share a transaction, and are answered after it', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  const answered: number[] = [];
  const calls = [1, 2, 3].map((key) => queue.commit([add(key)]).then(() => answered.push(key)));
  assert.equal(sets.transactions.length, 0);
  assert.deepEqual(answered, []);
  await sets.tick();
  await Promise.all(calls);
  assert.deepEqual(answered, [1, 2, 3]);
  assert.equal(sets.transactions.length, 1);
  assert.deepEqual(sets.keys(), ['1', '2', '3']);
});

test('what comes right after a transaction is gathered for at most 2 ms', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  void queue.commit([add(1)]);
  await sets.tick();
  void queue.commit([add(2)]);
  await sets.advance(1);
  void queue.commit([add(3)]);
  assert.equal(sets.transactions.length, 1);
  await sets.advance(1);
  assert.equal(sets.transactions.length, 2);
  assert.deepEqual(sets.keys(), ['1', '2', '3']);
});

test('2,000 changes do not wait', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  const calls = Array.from({ length: 5000 }, (_, index) =>
    queue.commit([{ op: 'add', set: 0, key: Uint8Array.of(index >> 8, index & 255) }]),
  );
  for (let turn = 0; turn < 20; turn++) await sets.advance(2);
  await Promise.all(calls);
  assert.equal(sets.keys().length, 5000);
  assert.ok(sets.transactions.every((transaction) => transaction.length <= 2000));
});

test('the last change to an element counts, and all who asked are answered', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  const calls = [[add(1)], [remove(1)], [add(2)], [remove(2), add(3)], [add(2)]].map((changes) =>
    queue.commit(changes),
  );
  await sets.tick();
  await Promise.all(calls);
  assert.deepEqual(sets.transactions, [[remove(1), add(2), add(3)]]);
  assert.equal(queue.counts.superseded, 3);
});

test('a flush makes what came before it needless', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  void queue.commit([add(1), add(2)]);
  void queue.commit([{ op: 'flush', set: 0 }, remove(7), add(3), add(4, 1)]);
  await sets.tick();
  assert.deepEqual(sets.transactions, [[{ op: 'flush', set: 0 }, add(3), add(4, 1)]]);
  assert.deepEqual(sets.keys(), ['3']);
});

for (const count of [10, 500]) {
  test(`one bad change among ${count} fails alone`, async () => {
    const sets = new FakeSets();
    sets.refuses = (key) => key === '0,7' || key === '0,9';
    const queue = groupCommit(sets);
    const calls = Array.from({ length: count }, (_, index) =>
      queue.commit([{ op: 'add', set: 0, key: Uint8Array.of(index >> 8, index & 255) }]),
    );
    const settled = Promise.allSettled(calls);
    await sets.tick();
    const results = await settled;
    const failed = results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []));
    assert.deepEqual(failed, [7, 9]);
    assert.equal(sets.keys().length, count - 2);
    assert.equal(queue.counts.refused, 2);
    assert.ok(sets.transactions.length <= 3);
  });
}

test('a call of several changes is taken whole or not at all', async () => {
  const sets = new FakeSets();
  sets.refuses = (key) => key === '2';
  const queue = groupCommit(sets);
  const settled = Promise.allSettled([queue.commit([add(1), add(2), add(3)]), queue.commit([add(4)])]);
  await sets.tick();
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    ['rejected', 'fulfilled'],
  );
  assert.deepEqual(sets.keys(), ['4']);
});

test('a change comes back to life when the one that superseded it is refused', async () => {
  const sets = new FakeSets();
  sets.refuses = (key) => key === '9';
  const queue = groupCommit(sets);
  const settled = Promise.allSettled([queue.commit([add(1)]), queue.commit([remove(1), add(9)])]);
  await sets.tick();
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  assert.deepEqual(sets.keys(), ['1']);
});

test('a full set refuses only what does not fit', async () => {
  const sets = new FakeSets();
  sets.bound = 3;
  const queue = groupCommit(sets);
  const settled = Promise.allSettled([1, 2, 3, 4, 5].map((key) => queue.commit([add(key)])));
  await sets.tick();
  const results = await settled;
  assert.deepEqual(
    results.map((result) => (result.status === 'rejected' ? result.reason.code : 'ok')),
    ['ok', 'ok', 'ok', 'full', 'full'],
  );
  assert.deepEqual(sets.keys(), ['1', '2', '3']);
});

test('a transaction whose result is unknown is sent again', async () => {
  const sets = new FakeSets();
  sets.failures = [new PosternError('busy', 'unknown'), new PosternError('busy', 'unknown')];
  const queue = groupCommit(sets);
  const call = queue.commit([add(1)]);
  await sets.tick();
  await call;
  assert.deepEqual(sets.keys(), ['1']);
  assert.equal(queue.counts.repeated, 2);
});

test('a transaction that is too large is halved', async () => {
  const sets = new FakeSets();
  sets.failures = [new PosternError('full', 'too large'), new PosternError('full', 'too large')];
  const queue = groupCommit(sets);
  const calls = [1, 2, 3, 4].map((key) => queue.commit([add(key)]));
  await sets.tick();
  await Promise.all(calls);
  assert.deepEqual(
    sets.transactions.map((transaction) => transaction.length),
    [4, 2, 1, 1, 2],
  );
});

test('a kernel that takes nothing is not asked forever', async () => {
  const sets = new FakeSets();
  sets.transact = async (changes) => {
    sets.transactions.push([...changes]);
    throw new PosternError('kernel', 'no');
  };
  const queue = groupCommit(sets);
  const settled = Promise.allSettled(
    Array.from({ length: 1000 }, (_, index) =>
      queue.commit([{ op: 'add', set: 0, key: Uint8Array.of(index >> 8, index & 255) }]),
    ),
  );
  for (let turn = 0; turn < 20; turn++) await sets.tick();
  assert.ok((await settled).every(({ status }) => status === 'rejected'));
  assert.ok(sets.transactions.length <= 80);
});

test('an urgent change overtakes a big job, except in the same set', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  const big = Array.from(
    { length: 1500 },
    (_, index): ElementChange => ({ op: 'add', set: 0, key: Uint8Array.of(index >> 8, index & 255) }),
  );
  for (let part = 0; part < 3; part++) void queue.commit(big, { bulk: true });
  void queue.commit([add(8)]);
  void queue.commit([add(9, 1)]);
  for (let turn = 0; turn < 9; turn++) await sets.advance(2);
  const lengths = sets.transactions.map(({ length }) => length);
  // The first part was under way when the urgent ones came.
  assert.deepEqual(lengths, [1500, 1, 1500, 1501]);
  assert.deepEqual(sets.transactions[1], [add(9, 1)]);
});

/** What was encoded and sent, in order; a transaction takes a turn. */
function recorded(sets: FakeSets): string[] {
  const steps: string[] = [];
  sets.prepare = (changes, options) => {
    const name = `${changes.length} of set ${changes[0]?.set}`;
    steps.push(`encode ${name}`);
    return async () => {
      steps.push(`send ${name}`);
      await new Promise<void>((resolve) => sets.later(1, resolve));
      return sets.transact(changes, options);
    };
  };
  return steps;
}

const part = (set: number): ElementChange[] =>
  Array.from({ length: 2000 }, (_, index) => ({ op: 'add', set, key: Uint8Array.of(index >> 8, index & 255) }));

test('the next part of a big job is encoded while the kernel has the one before it, and gives way all the same', async () => {
  const sets = new FakeSets();
  const steps = recorded(sets);
  const queue = groupCommit(sets);
  const parts = [1, 2, 3].map((set) => queue.commit(part(set), { bulk: true }));
  await sets.tick();
  const urgent = queue.commit([add(9)]);
  for (let turn = 0; turn < 9; turn++) await sets.advance(2);
  await Promise.all([...parts, urgent]);
  assert.deepEqual(steps, [
    'encode 2000 of set 1',
    'send 2000 of set 1',
    'encode 2000 of set 2',
    'encode 1 of set 0',
    'send 1 of set 0',
    'send 2000 of set 2',
    'encode 2000 of set 3',
    'send 2000 of set 3',
  ]);
  assert.deepEqual(
    [0, 1, 2, 3].map((set) => sets.keys(set).length),
    [1, 2000, 2000, 2000],
  );
});

test('a group that others may join yet is encoded in its turn', async () => {
  const sets = new FakeSets();
  const steps = recorded(sets);
  const queue = groupCommit(sets);
  const calls = [queue.commit(part(1), { bulk: true }), queue.commit(part(2).slice(0, 500), { bulk: true })];
  await sets.tick();
  calls.push(queue.commit(part(3).slice(0, 500), { bulk: true }));
  for (let turn = 0; turn < 9; turn++) await sets.advance(2);
  await Promise.all(calls);
  assert.deepEqual(steps.slice(2), ['encode 1000 of set 2', 'send 1000 of set 2']);
});

test('a part that was encoded ahead is encoded anew when it is sent again, and refused in its turn when it can not be', async () => {
  const sets = new FakeSets();
  const transact = sets.transact.bind(sets);
  const unknown = new Set([2]);
  sets.transact = async (changes, options) => {
    if (unknown.delete(changes[0]!.set)) throw new PosternError('busy', 'unknown');
    return transact(changes, options);
  };
  const steps = recorded(sets);
  const queue = groupCommit(sets);
  const parts = [1, 2].map((set) => queue.commit(part(set), { bulk: true }));
  for (let turn = 0; turn < 9; turn++) await sets.advance(2);
  await Promise.all(parts);
  assert.equal(steps.filter((step) => step === 'encode 2000 of set 2').length, 2);
  assert.equal(queue.counts.repeated, 1);

  const record = sets.prepare;
  sets.prepare = (changes, options) => {
    if (changes[0]?.set === 4) throw new PosternError('invalid', 'no such key');
    return record(changes, options);
  };
  const settled = Promise.allSettled([3, 4, 5].map((set) => queue.commit(part(set), { bulk: true })));
  for (let turn = 0; turn < 9; turn++) await sets.advance(2);
  assert.deepEqual(
    (await settled).map((result) => (result.status === 'rejected' ? result.reason.code : 'ok')),
    ['ok', 'invalid', 'ok'],
  );
});

test('a big job goes on while urgent changes never cease', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  let done = false;
  void queue.commit([add(1)], { bulk: true }).then(() => {
    done = true;
  });
  for (let turn = 0; turn < 4; turn++) {
    void queue.commit([add(turn, 1)]);
    await sets.advance(2);
  }
  assert.equal(done, true);
});

test('what cannot be sent is refused at once', async () => {
  const queue = groupCommit(new FakeSets());
  await assert.rejects(queue.commit([add(1), add(1, -1)]), { code: 'not-found' });
  assert.equal(queue.counts.transactions, 0);
});

test('a full queue refuses, and idle waits for all answers', async () => {
  const sets = new FakeSets();
  const queue = groupCommit(sets);
  const many = Array.from({ length: 400_000 }, (_, index) => add(index & 255));
  const first = queue.commit(many);
  await assert.rejects(queue.commit(many), { code: 'busy' });
  let idle = false;
  const waiting = queue.idle().then(() => {
    idle = true;
  });
  assert.equal(idle, false);
  await sets.tick();
  await first;
  await waiting;
  await queue.idle();
});

test('whatever is asked for, the sets end as if each accepted call had been made in its order', async () => {
  const change = fc.oneof(
    fc.record({ op: fc.constant('add' as const), key: fc.nat(5), set: fc.nat(1) }),
    fc.record({ op: fc.constant('delete' as const), key: fc.nat(5), set: fc.nat(1) }),
    fc.record({ op: fc.constant('flush' as const), set: fc.nat(1) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 12 }), async (calls) => {
      const sets = new FakeSets();
      sets.refuses = (key) => key === '5';
      const expected = new FakeSets();
      expected.refuses = sets.refuses;
      const queue = groupCommit(sets);
      const changesOf = calls.map((call) =>
        call.map(
          (one): ElementChange =>
            one.op === 'flush' ? one : { op: one.op, set: one.set, key: Uint8Array.of(one.key) },
        ),
      );
      const settled = Promise.allSettled(changesOf.map((changes) => queue.commit(changes)));
      for (let turn = 0; turn < 4; turn++) await sets.advance(2);
      const accepted = (await settled).map(({ status }) => status === 'fulfilled');
      for (const [index, changes] of changesOf.entries()) {
        // A refused addition that a later change to the same element supersedes is never sent, so it isn't refused.
        const kept = changes.filter((one) => accepted[index] && !(one.op === 'add' && one.key[0] === 5));
        await expected.transact(kept);
      }
      assert.deepEqual([sets.keys(0), sets.keys(1)], [expected.keys(0), expected.keys(1)]);
    }),
    { numRuns: 300 },
  );
});
