import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { limitedPeer, RateGuard } from '../../src/api/rate.js';

suite('a rate guard', () => {
  test('lets a burst through, then as many as the rate says', () => {
    let now = 0;
    const guard = new RateGuard({ perSecond: 2, burst: 3 }, () => now);
    const taken = () => [1, 2, 3, 4, 5].filter(() => guard.take('a')).length;
    assert.equal(taken(), 3);
    assert.ok(guard.exhausted('a'));
    assert.equal(guard.retryAfterSeconds('a'), 1);
    now = 1000;
    assert.equal(taken(), 2);
    now = 60_000;
    assert.equal(taken(), 3);
  });

  test('counts each peer for itself', () => {
    const guard = new RateGuard({ perSecond: 1, burst: 1 }, () => 0);
    assert.ok(guard.take('a'));
    assert.ok(guard.take('b'));
    assert.ok(!guard.take('a'));
  });

  test('remembers a bounded number of peers and forgets the quietest', () => {
    const guard = new RateGuard({ perSecond: 0.001, burst: 1 }, () => 0);
    guard.take('first');
    for (let i = 0; i < 9_999; i++) guard.take(`peer ${i}`);
    assert.ok(!guard.take('first'), 'was used last of all, so that it stays');
    guard.take('one more');
    assert.ok(guard.take('peer 0'), 'was forgotten');
    assert.ok(!guard.take('first'));
  });

  test('does not give anything for a clock that went back', () => {
    let now = 10_000;
    const guard = new RateGuard({ perSecond: 1, burst: 1 }, () => now);
    guard.take('a');
    now = 0;
    assert.ok(!guard.take('a'));
  });
});

suite('the peer that a limit is for', () => {
  for (const [address, peer] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['fe80::1%eth0', 'fe80::'],
  ] as const) {
    test(`of ${address} is ${peer}`, () => assert.equal(limitedPeer(address), peer));
  }
});
