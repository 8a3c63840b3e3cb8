import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { type Nf, type NfFeatures, openNf } from '../../src/kernel/nf.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { threadExchange } from '../../src/kernel/thread-exchange.js';
import { type Namespace, namespace, type Scope } from './namespace.js';
import { testManifest, testSets } from './test-sets.js';

const [HOSTS, COUNTED, PREFIXES, PREFIXES6, PAIRS, NAMES, SIX, PORTS] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const NEWEST: NfFeatures = { destroy: true, updateTimeout: true, resetElements: true };
const OLDEST: NfFeatures = { destroy: false, updateTimeout: false, resetElements: false };

function v4(text: string): Uint8Array {
  return Uint8Array.from(text.split('.').map(Number));
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function add(set: number, key: Uint8Array, more: Partial<ElementChange> = {}): ElementChange {
  return { op: 'add', set, key, ...more } as ElementChange;
}

/** The elements that nft lists, one per entry, without the remaining time. */
async function listed(space: Namespace, set: string): Promise<string[]> {
  const text = await space.list('list', 'set', 'inet', 't', set);
  const body = /elements = \{([^}]*)\}/.exec(text)?.[1] ?? '';
  return body
    .split(',')
    .map((element) =>
      element
        .replace(/ expires \S+/, '')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((element) => element !== '');
}

for (const inThread of [false, true]) {
  describe(inThread ? 'over a thread' : 'on the calling thread', () => {
    async function open(t: Scope, features = NEWEST): Promise<{ nf: Nf; space: Namespace }> {
      const space = await namespace(t);
      await space.nft(testSets);
      const exchange = inThread ? threadExchange({ namespace: space.name }) : netfilterExchange(space.name);
      t.after(() => exchange.close());
      const nf = openNf(exchange, features);
      nf.adopt(testManifest);
      return { nf, space };
    }

    test('nft lists what was added, for every shape of key', async (t) => {
      const { nf, space } = await open(t);
      await nf.change([
        add(HOSTS, v4('192.0.2.1'), { timeoutMs: 3_600_000, comment: 'ssh' }),
        add(HOSTS, v4('192.0.2.2')),
        add(PREFIXES, v4('198.51.100.0'), { keyEnd: v4('198.51.100.255'), timeoutMs: 60_000 }),
        add(PREFIXES, v4('203.0.113.7')),
        add(PREFIXES, v4('255.255.255.0'), { keyEnd: v4('255.255.255.255') }),
        add(PREFIXES6, bytes('20010db8 00000000 00000000 00000000'), {
          keyEnd: bytes('20010db8 ffffffff ffffffff ffffffff'),
        }),
        add(PAIRS, bytes('c6336400 00160000'), { keyEnd: bytes('c63364ff 00170000'), timeoutMs: 60_000 }),
        add(PAIRS, bytes('c0000201 01bb0000')),
        add(NAMES, Buffer.concat([Buffer.from('eth0'.padEnd(16, '\0')), bytes('c0000201 06000000 00500000')])),
        add(SIX, bytes('20010db8 00000000 00000000 00000001'), { timeoutMs: 60_000 }),
        add(SIX, bytes('20010db8 00000000 00000000 00000002')),
        add(PORTS, bytes('01bb')),
        add(COUNTED, v4('192.0.2.9')),
      ]);
      assert.deepEqual(await listed(space, 'hosts'), ['192.0.2.1 timeout 1h comment "ssh"', '192.0.2.2']);
      assert.deepEqual(await listed(space, 'prefixes'), [
        '198.51.100.0/24 timeout 1m',
        '203.0.113.7',
        '255.255.255.0/24',
      ]);
      assert.deepEqual(await listed(space, 'prefixes6'), ['2001:db8::/32']);
      assert.deepEqual((await listed(space, 'pairs')).sort(), [
        '192.0.2.1 . 443',
        '198.51.100.0/24 . 22-23 timeout 1m',
      ]);
      assert.deepEqual(await listed(space, 'names'), ['"eth0" . 192.0.2.1 . tcp . 80']);
      assert.deepEqual((await listed(space, 'six')).sort(), ['2001:db8::1 timeout 1m', '2001:db8::2']);
      assert.deepEqual(await listed(space, 'ports'), ['443']);
      assert.deepEqual(await listed(space, 'counted'), ['192.0.2.9 counter packets 0 bytes 0']);
    });

    test('an element is read alone, and a missing one is nothing', async (t) => {
      const { nf } = await open(t);
      await nf.change([
        add(HOSTS, v4('192.0.2.1'), { timeoutMs: 3_600_000, comment: 'ssh' }),
        add(COUNTED, v4('192.0.2.9')),
        add(PREFIXES, v4('198.51.100.0'), { keyEnd: v4('198.51.100.255'), timeoutMs: 60_000 }),
        add(PREFIXES, v4('255.255.255.0'), { keyEnd: v4('255.255.255.255') }),
        add(PAIRS, bytes('c6336400 00160000'), { keyEnd: bytes('c63364ff 00170000') }),
      ]);
      const host = await nf.get(HOSTS, { key: v4('192.0.2.1') });
      assert.equal(host?.timeoutMs, 3_600_000);
      assert.ok(host.expiresMs !== undefined && host.expiresMs > 3_590_000 && host.expiresMs <= 3_600_000);
      assert.equal(host.comment, 'ssh');
      assert.equal(await nf.get(HOSTS, { key: v4('192.0.2.2') }), undefined);
      assert.deepEqual(await nf.get(COUNTED, { key: v4('192.0.2.9') }), {
        key: v4('192.0.2.9'),
        packets: 0n,
        bytes: 0n,
      });

      const prefix = await nf.get(PREFIXES, { key: v4('198.51.100.0'), keyEnd: v4('198.51.100.255') });
      assert.deepEqual(prefix?.keyEnd, v4('198.51.100.255'));
      assert.equal(await nf.get(PREFIXES, { key: v4('198.51.100.0'), keyEnd: v4('198.51.100.127') }), undefined);
      assert.equal(await nf.get(PREFIXES, { key: v4('198.51.100.7') }), undefined);
      assert.equal(await nf.get(PREFIXES, { key: v4('203.0.113.0'), keyEnd: v4('203.0.113.255') }), undefined);
      const top = { key: v4('255.255.255.0'), keyEnd: v4('255.255.255.255') };
      assert.deepEqual(await nf.get(PREFIXES, top), top);
      const pair = { key: bytes('c6336400 00160000'), keyEnd: bytes('c63364ff 00170000') };
      assert.deepEqual(await nf.get(PAIRS, pair), pair);
      assert.equal(await nf.get(PAIRS, { key: pair.key }), undefined);
    });

    test('a listing answers each element once, intervals with their inclusive end', async (t) => {
      const { nf, space } = await open(t);
      const text = ['192.0.2.0/24', '192.0.3.0-192.0.3.9', '192.0.4.1', '255.255.255.0/24'];
      await space.nft(`add element inet t prefixes { ${text.join(', ')} }`);
      await nf.change([add(PREFIXES, v4('10.0.0.0'), { keyEnd: v4('10.255.255.255'), timeoutMs: 60_000 })]);
      const states = await nf.dump(PREFIXES);
      assert.deepEqual(
        states.map(({ key, keyEnd }) => `${key.join('.')}-${keyEnd?.join('.')}`),
        [
          '10.0.0.0-10.255.255.255',
          '192.0.2.0-192.0.2.255',
          '192.0.3.0-192.0.3.9',
          '192.0.4.1-192.0.4.1',
          '255.255.255.0-255.255.255.255',
        ],
      );
      assert.equal(states[0]?.timeoutMs, 60_000);

      const hosts: ElementChange[] = [];
      for (let index = 0; index < 20_000; index++) hosts.push(add(COUNTED, v4(`10.1.${index >> 8}.${index & 255}`)));
      await nf.change(hosts);
      const counted = await nf.dump(COUNTED);
      assert.equal(counted.length, 20_000);
      assert.equal(new Set(counted.map(({ key }) => key.join('.'))).size, 20_000);
      assert.equal(counted[0]?.packets, 0n);
    });

    test('a listing of an empty set is empty, and one of a missing set says what is missing', async (t) => {
      const { nf, space } = await open(t);
      assert.deepEqual(await nf.dump(HOSTS), []);
      await space.run('nft', 'delete', 'set', 'inet', 't', 'hosts');
      await assert.rejects(nf.dump(HOSTS), { code: 'not-found', message: /set hosts: not in the kernel/ });
      await assert.rejects(nf.change([add(HOSTS, v4('192.0.2.1'))]), { code: 'kernel', message: /hosts.*ENOENT/ });
    });

    for (const [name, features] of [
      ['this kernel', NEWEST],
      ['an old kernel', OLDEST],
    ] as const) {
      test(`deleting what isn't there is no error and adding again sets the timeout, as on ${name}`, async (t) => {
        const { nf, space } = await open(t, features);
        const range = { key: v4('198.51.100.0'), keyEnd: v4('198.51.100.255') };
        await nf.change([add(HOSTS, v4('192.0.2.1'), { timeoutMs: 60_000 }), add(PREFIXES, range.key, range)]);
        await nf.change([
          { op: 'delete', set: HOSTS, key: v4('192.0.2.200') },
          { op: 'delete', set: PREFIXES, key: v4('203.0.113.1') },
          { op: 'delete', set: PAIRS, key: bytes('c6336400 00160000') },
          add(HOSTS, v4('192.0.2.1'), { timeoutMs: 7_200_000 }),
          add(PREFIXES, range.key, { ...range, timeoutMs: 7_200_000 }),
        ]);
        assert.deepEqual(await listed(space, 'hosts'), ['192.0.2.1 timeout 2h']);
        assert.deepEqual(await listed(space, 'prefixes'), ['198.51.100.0/24 timeout 2h']);
        await nf.change([add(HOSTS, v4('192.0.2.1')), add(PREFIXES, range.key, range)]);
        assert.equal((await nf.get(HOSTS, { key: v4('192.0.2.1') }))?.timeoutMs, undefined);
        assert.equal((await nf.get(PREFIXES, range))?.timeoutMs, undefined);
        await nf.change([
          { op: 'delete', set: HOSTS, key: v4('192.0.2.1') },
          { op: 'delete', set: PREFIXES, ...range },
        ]);
        assert.deepEqual([await nf.dump(HOSTS), await nf.dump(PREFIXES)], [[], []]);
      });
    }

    test('a refused transaction changes nothing and names the change', async (t) => {
      const { nf } = await open(t);
      const changes = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5'].map((text) =>
        add(HOSTS, v4(text)),
      );
      await assert.rejects(nf.change(changes), { code: 'full', message: /set hosts: full, it holds 4 elements/ });
      assert.deepEqual(await nf.dump(HOSTS), []);
      const refused = await nf.transact(changes, { separate: true });
      assert.deepEqual(
        refused.map(({ index, error }) => [index, error.code]),
        [[4, 'full']],
      );
      const overlap = [
        add(PREFIXES, v4('10.0.0.0'), { keyEnd: v4('10.255.255.255') }),
        add(PREFIXES, v4('192.0.2.1')),
        add(PREFIXES, v4('10.1.0.0'), { keyEnd: v4('10.1.255.255') }),
        add(PORTS, v4('192.0.2.1')),
      ];
      const reasons = await nf.transact(overlap, { separate: true });
      assert.deepEqual(
        reasons.map(({ index }) => index),
        [2, 3],
      );
      assert.match(reasons[0]?.error.message ?? '', /overlaps/);
      assert.deepEqual(await nf.dump(PREFIXES), []);
    });

    test('what a set can never hold is refused before it is sent', async (t) => {
      const { nf } = await open(t);
      const key = v4('192.0.2.1');
      for (const change of [
        add(PORTS, bytes('01bb'), { timeoutMs: 1000 }),
        add(HOSTS, key, { timeoutMs: 0 }),
        add(HOSTS, key, { timeoutMs: 1.5 }),
        add(HOSTS, key, { comment: 'x'.repeat(128) }),
        add(HOSTS, key, { keyEnd: v4('192.0.2.2') }),
        add(HOSTS, new Uint8Array()),
        add(PREFIXES, key, { keyEnd: bytes('01bb') }),
      ]) {
        await assert.rejects(nf.change([change]), { code: 'invalid' });
      }
      await assert.rejects(nf.change([add(99, key)]), { code: 'not-found' });
    });

    test('flush empties a set within the transaction', async (t) => {
      const { nf, space } = await open(t);
      await nf.change([add(HOSTS, v4('192.0.2.1')), add(HOSTS, v4('192.0.2.2'))]);
      await nf.change([{ op: 'flush', set: HOSTS }, add(HOSTS, v4('192.0.2.3'))]);
      assert.deepEqual(await listed(space, 'hosts'), ['192.0.2.3']);
      await nf.change([{ op: 'flush', set: HOSTS }]);
      assert.deepEqual(await listed(space, 'hosts'), []);
    });

    test('named counters and quotas are read, and zeroed when asked', async (t) => {
      const { nf } = await open(t);
      assert.deepEqual(await nf.object(0), { packets: 67n, bytes: 12_345n });
      assert.deepEqual(await nf.object(1), { limitBytes: 10n << 20n, usedBytes: 1n << 20n });
      assert.deepEqual(await nf.object(0, { reset: true }), { packets: 67n, bytes: 12_345n });
      assert.deepEqual(await nf.object(0), { packets: 0n, bytes: 0n });
      await assert.rejects(nf.object(2), { code: 'not-found' });
    });

    test('every transaction has a generation of its own', async (t) => {
      const { nf } = await open(t);
      const before = await nf.generation();
      await nf.change([add(HOSTS, v4('192.0.2.1'))]);
      assert.equal((await nf.generation()).id, before.id + 1);
    });
  });
}
