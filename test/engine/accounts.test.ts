import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccountReading, AccountSeries } from '../../src/engine/accounts.js';
import { createEngine } from '../../src/engine/create.js';
import { PosternError } from '../../src/errors.js';
import { fakeKernel } from '../../src/kernel/fake.js';
import { addressBytes, formatAddress, parseAddress } from '../../src/net/address.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { openStore } from '../../src/store/open.js';
import type { StoreClock } from '../../src/store/system-clock.js';
import { FakeClock, settle } from './fake-clock.js';
import { type Bench, bench, compile } from './fixture.js';

const policy = `
version: 1
accounts:
  sales: { networks: [192.168.1.0/24, 2001:db8:1::/64], size: 4 }
  all_outgoing: 0.0.0.0/0
chains:
  forward:
    rules:
      - { do: [account sales, account all_outgoing] }
`;

/** Packets that an account's rule counts; false when the set is full. */
function packets({ kernel, engine }: Bench, direction: string, address: string, count: number, bytes: number): boolean {
  const parsed = parseAddress(address);
  const set = engine.policy.current!.plan.manifest.sets.findIndex(
    ({ role }) => role.kind === 'account' && role.direction === direction && role.family === parsed.family,
  );
  return kernel.packets(set, addressBytes(parsed), count, bytes);
}

function objectOf({ engine }: Bench, kind: string): number {
  return engine.policy.current!.plan.manifest.objects.findIndex(({ role }) => role.kind === kind);
}

function lines({ rows, overflow }: AccountReading): string[] {
  const texts = rows.map(
    ({ address, source, destination }) =>
      `${formatAddress(address)} ${source.packets}/${source.bytes} ${destination.packets}/${destination.bytes}`,
  );
  return overflow.packets === 0n ? texts : [...texts, `overflow ${overflow.packets}/${overflow.bytes}`];
}

function sums(series: readonly AccountSeries[]): string[] {
  return series
    .filter(({ packets: count }) => count > 0n)
    .map(({ account, ip, direction, packets: count, bytes }) => `${account} ${ip} ${direction} ${count}/${bytes}`);
}

test('an account shows each address once, sorted, with what it sent and what was sent to it', async () => {
  const made = await bench(policy);
  packets(made, 'destination', '2001:db8:1::5', 1, 60);
  packets(made, 'source', '192.168.1.10', 5, 1_500);
  packets(made, 'source', '192.168.1.2', 1, 40);
  packets(made, 'destination', '192.168.1.10', 3, 4_200);
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), [
    '192.168.1.2 1/40 0/0',
    '192.168.1.10 5/1500 3/4200',
    '2001:db8:1::5 0/0 1/60',
  ]);
  assert.deepEqual(
    made.engine.accounts.list().map(({ name, size }) => `${name} ${size}`),
    ['sales 4', 'all_outgoing 65536'],
  );
  await assert.rejects(made.engine.accounts.read('sale'), /no account sale; the policy has: sales, all_outgoing/);
});

test('a flush gives what was counted since the last one, and nothing twice', async () => {
  const made = await bench(policy);
  packets(made, 'source', '192.168.1.10', 5, 1_500);
  assert.deepEqual(lines(await made.engine.accounts.flush('sales')), ['192.168.1.10 5/1500 0/0']);
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), []);
  packets(made, 'source', '192.168.1.10', 1, 100);
  packets(made, 'destination', '192.168.1.11', 2, 200);
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), [
    '192.168.1.10 1/100 0/0',
    '192.168.1.11 0/0 2/200',
  ]);
  assert.deepEqual(lines(await made.engine.accounts.flush('sales')), [
    '192.168.1.10 1/100 0/0',
    '192.168.1.11 0/0 2/200',
  ]);
  assert.deepEqual(lines(await made.engine.accounts.flush('sales')), []);
});

test('an account of everything is one counter, shown as address 0', async () => {
  const made = await bench(policy);
  made.kernel.countPackets(objectOf(made, 'account-total'), 7, 700);
  assert.deepEqual(lines(await made.engine.accounts.flush('all_outgoing')), ['0.0.0.0 7/700 0/0']);
  assert.deepEqual(lines(await made.engine.accounts.read('all_outgoing')), []);
});

test('packets that found the account full are counted apart', async () => {
  const made = await bench(policy);
  const fits = [1, 2, 3, 4, 5].map((n) => packets(made, 'source', `192.168.1.${n}`, 1, 10));
  assert.deepEqual(fits, [true, true, true, true, false]);
  made.kernel.countPackets(objectOf(made, 'overflow'), 1, 10);
  assert.equal(lines(await made.engine.accounts.read('sales')).at(-1), 'overflow 1/10');
});

test('series only grow, whoever flushes, and their sum is everything', async () => {
  const made = await bench(policy, { seriesPerAccount: 2 });
  const { engine, clock, kernel } = made;
  packets(made, 'source', '192.168.1.1', 1, 10);
  packets(made, 'source', '192.168.1.2', 3, 300);
  packets(made, 'destination', '192.168.1.3', 2, 200);
  assert.deepEqual(
    sums(await engine.accounts.series()),
    ['sales 192.168.1.2 source 3/300', 'sales 192.168.1.3 destination 2/200', 'sales other source 1/10'].sort(
      (a, b) => Number(a.includes('other')) - Number(b.includes('other')),
    ),
  );
  await engine.accounts.flush('sales');
  packets(made, 'source', '192.168.1.1', 100, 10_000);
  packets(made, 'source', '192.168.1.2', 1, 100);
  kernel.countPackets(objectOf(made, 'overflow'), 4, 400);
  await clock.pass(3_000);
  assert.deepEqual(sums(await engine.accounts.series()), [
    'sales 192.168.1.2 source 4/400',
    'sales 192.168.1.3 destination 2/200',
    'sales other source 101/10010',
    'sales overflow any 4/400',
  ]);
});

test('totals and counts outlive a reload of the policy, counts a restart', async () => {
  const made = await bench(policy);
  packets(made, 'source', '192.168.1.1', 1, 10);
  await made.engine.accounts.flush('sales');
  packets(made, 'source', '192.168.1.1', 2, 20);
  await made.engine.policy.apply({ file: 'policy.yaml', text: `${policy}      - { tcp: 22, do: drop }\n` });
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), ['192.168.1.1 2/20 0/0']);
  assert.deepEqual(sums(await made.engine.accounts.series()), ['sales 192.168.1.1 source 3/30']);
  await made.restart();
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), ['192.168.1.1 2/20 0/0']);
});

test('where the kernel can not zero sets, a flush remembers what it has told', async () => {
  const made = await bench(policy);
  const dump = made.kernel.dump.bind(made.kernel);
  made.kernel.dump = async (set, options) => {
    if (options?.reset) throw new PosternError('unsupported', 'needs Linux 6.5');
    return dump(set, options);
  };
  packets(made, 'source', '192.168.1.1', 1, 10);
  assert.deepEqual(lines(await made.engine.accounts.flush('sales')), ['192.168.1.1 1/10 0/0']);
  packets(made, 'source', '192.168.1.1', 2, 20);
  packets(made, 'source', '192.168.1.2', 1, 11);
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), ['192.168.1.1 2/20 0/0', '192.168.1.2 1/11 0/0']);
  assert.deepEqual(lines(await made.engine.accounts.flush('sales')), ['192.168.1.1 2/20 0/0', '192.168.1.2 1/11 0/0']);
  assert.deepEqual(lines(await made.engine.accounts.flush('sales')), []);
  assert.deepEqual(sums(await made.engine.accounts.series()), [
    'sales 192.168.1.1 source 3/30',
    'sales 192.168.1.2 source 1/11',
  ]);
});

test('addresses at rest give their places up when the account is crowded', async () => {
  const made = await bench(policy);
  for (const n of [1, 2, 3, 4]) packets(made, 'source', `192.168.1.${n}`, 1, 10);
  await made.engine.accounts.flush('sales');
  await made.clock.pass(61_000);
  packets(made, 'source', '192.168.1.1', 1, 10);
  await made.engine.accounts.flush('sales');
  assert.equal(packets(made, 'source', '192.168.1.9', 1, 10), true);
  assert.deepEqual(lines(await made.engine.accounts.read('sales')), ['192.168.1.9 1/10 0/0']);
  assert.deepEqual(sums(await made.engine.accounts.series())[0], 'sales 192.168.1.1 source 2/20');
});

test('watch tells rates, undisturbed by flushes', async () => {
  const made = await bench(policy);
  const { engine, clock } = made;
  const abort = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { rates, intervalMs } of engine.accounts.watch('sales', 2_000, abort.signal)) {
      seen.push(
        `${intervalMs} ${rates.map(({ address, source, destination }) => `${formatAddress(address)} ${source.bytes} ${destination.packets}`)}`,
      );
    }
  })();
  await settle();
  packets(made, 'source', '192.168.1.1', 10, 1_000);
  packets(made, 'destination', '192.168.1.2', 4, 4_000);
  await clock.pass(1_000);
  await engine.accounts.flush('sales');
  packets(made, 'source', '192.168.1.1', 10, 1_000);
  await clock.pass(1_000);
  await clock.pass(2_000);
  abort.abort();
  await watching;
  assert.deepEqual(seen, ['2000 192.168.1.2 0 2,192.168.1.1 1000 0', '2000 ']);
});

test('an account with keep goes on after a restart and after a reboot, where it is shown and in its series', async () => {
  const [disk, clock] = [memoryDisk(), new FakeClock()];
  const storeClock: StoreClock = {
    wallMs: () => clock.wall(),
    steadyMs: () => clock.steady(),
    reading: () => ({ bootId: 'boot', wallMs: clock.wall(), uptimeMs: clock.steady() }),
  };
  const text = policy
    .replace('size: 4 }', 'size: 4, keep: true }')
    .replace('all_outgoing: 0.0.0.0/0', 'all_outgoing: { networks: [0.0.0.0/0], keep: true }');
  const open = async (kernel: Bench['kernel']) => {
    const store = await openStore({ disk, node: 'fw1', clock: storeClock });
    const readPolicy = async () => ({ file: 'policy.yaml', text });
    const engine = createEngine({ kernel, compile, readPolicy, clock, store });
    await engine.start();
    const stop = async () => {
      await engine.stop();
      await store.close();
    };
    return { engine, kernel, stop };
  };
  const booted = () => fakeKernel({ now: () => clock.steady() });
  const count = (made: Pick<Bench, 'engine' | 'kernel'>, number: number) => {
    packets(made as Bench, 'source', '192.168.1.10', number, 100 * number);
    packets(made as Bench, 'destination', '2001:db8:1::5', number, 60 * number);
  };
  const shown = async ({ engine }: Pick<Bench, 'engine'>) => lines(await engine.accounts.read('sales'));
  const total = async ({ engine }: Pick<Bench, 'engine'>) =>
    sums(await engine.accounts.series()).filter((line) => line.startsWith('sales'));

  let made = await open(booted());
  count(made, 5);
  await made.engine.accounts.flush('sales');
  count(made, 2);
  await made.stop();
  made = await open(made.kernel.reopened());
  assert.deepEqual(await shown(made), ['192.168.1.10 2/200 0/0', '2001:db8:1::5 0/0 2/120']);
  assert.deepEqual(await total(made), ['sales 192.168.1.10 source 7/700', 'sales 2001:db8:1::5 destination 7/420']);
  for (let boot = 1; boot <= 2; boot++) {
    await clock.pass(61_000);
    await made.stop();
    made = await open(booted());
    count(made, 1);
    assert.deepEqual(await shown(made), [
      `192.168.1.10 ${2 + boot}/${200 + 100 * boot} 0/0`,
      `2001:db8:1::5 0/0 ${2 + boot}/${120 + 60 * boot}`,
    ]);
    await made.stop();
    made = await open(made.kernel.reopened());
    assert.deepEqual(await total(made), [
      `sales 192.168.1.10 source ${7 + boot}/${700 + 100 * boot}`,
      `sales 2001:db8:1::5 destination ${7 + boot}/${420 + 60 * boot}`,
    ]);
  }
  await made.engine.accounts.flush('sales');
  await made.stop();
  made = await open(booted());
  assert.deepEqual(await shown(made), []);
  assert.deepEqual(await total(made), ['sales 192.168.1.10 source 9/900', 'sales 2001:db8:1::5 destination 9/540']);
  await made.stop();
});
