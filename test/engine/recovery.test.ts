import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine } from '../../src/engine/create.js';
import type { Engine, EngineEvents } from '../../src/engine/engine.js';
import { type FakeKernel, fakeKernel } from '../../src/kernel/fake.js';
import type { Prefix } from '../../src/net/address.js';
import { formatPrefix, parsePrefix } from '../../src/net/prefix.js';
import { type MemoryDisk, memoryDisk } from '../../src/store/memory-disk.js';
import { openStore } from '../../src/store/open.js';
import type { Draft, Store } from '../../src/store/store.js';
import { FakeClock, settle } from './fake-clock.js';
import { compile, entries, entry, source, words } from './fixture.js';
import { elementsOf } from './kernel-content.js';

const hour = 3_600_000;

const policy = (unknown = 'adopt') => `
version: 1
tables:
  ban: { timeout: 1h, unknown: ${unknown} }
  fed: { timeout: 1h, unknown: ${unknown} }
chains:
  input:
    rules:
      - { from: <ban>, do: drop }
      - { from: <fed>, do: drop }
      - { tcp: 23, do: [add source to <fed>, drop] }
      - { tcp: 22, knock: ssh, do: accept }
knocks:
  ssh: { ports: [4001, 4002], time: 10s, autoclose: 2h }
`;

/** A machine whose daemon can be killed, whose kernel can lose everything, and whose clock can be set. */
class Machine {
  readonly clock = new FakeClock();
  kernel: FakeKernel = fakeKernel({ now: () => this.clock.steady() });
  disk: MemoryDisk = memoryDisk();
  bootId = 'boot-1';
  text = policy();
  readonly unknown: EngineEvents['unknown'][0][] = [];
  store!: Store;
  engine!: Engine;

  async start(): Promise<this> {
    const { clock } = this;
    this.store = await openStore({
      disk: this.disk,
      node: 'fw1',
      clock: {
        wallMs: () => clock.wall(),
        steadyMs: () => clock.steady(),
        reading: () => ({ bootId: this.bootId, wallMs: clock.wall(), uptimeMs: clock.steady() }),
      },
    });
    this.engine = createEngine({
      kernel: this.kernel,
      compile,
      readPolicy: async () => ({ file: 'policy.yaml', text: this.text }),
      clock,
      store: this.store,
    });
    this.engine.events.on('unknown', (event) => this.unknown.push(event));
    await this.engine.start();
    return this;
  }

  /** The process is gone from one moment to the next. */
  kill(): void {
    this.disk = this.disk.afterCrash(1);
    this.kernel = this.kernel.reopened();
  }

  loseKernel(): void {
    this.kernel = fakeKernel({ now: () => this.clock.steady() });
  }
}

function left(expiresAt: number | undefined, { clock }: Machine): string {
  return expiresAt === undefined ? 'for ever' : `${Math.round((expiresAt - clock.wall()) / 1_000)}s`;
}

async function shown(machine: Machine, table = 'ban'): Promise<string[]> {
  const views = [...(await machine.engine.tables.show(table))];
  return words(views).map((word, i) => `${word} ${left(views[i]!.expiresAt, machine)}`);
}

const add = (prefix: string, more: Partial<Draft> = {}): Draft =>
  ({ kind: 'entry', op: 'add', table: 'ban', prefixes: [parsePrefix(prefix)], origin: source, ...more }) as Draft;

async function kernelHas({ kernel, engine }: Machine, table = 'ban'): Promise<string[]> {
  return elementsOf(kernel, engine, table);
}

test('a kernel that has lost everything gets the entries back with the time that is left', async () => {
  const machine = await new Machine().start();
  await machine.engine.tables.add('ban', [entry('192.0.2.1'), entry('2001:db8::/32', 0)], source);
  await machine.engine.tables.add('ban', [entry('192.0.2.2', 60_000)], source);
  machine.kill();
  machine.loseKernel();
  await machine.clock.pass(600_000);
  await machine.start();
  assert.deepEqual(await shown(machine), ['192.0.2.1 3000s', '2001:db8::/32 for ever']);
  assert.deepEqual(await kernelHas(machine), ['hosts 192.0.2.1 3000s', 'prefixes 2001:db8::/32']);
  assert.deepEqual(machine.unknown, []);
});

test('a change that was on the disk and not yet in the kernel is in both after the next start', async () => {
  const machine = await new Machine().start();
  await machine.engine.tables.add('ban', entries('192.0.2.1', '192.0.2.2'), source);
  const expiresAt = machine.clock.wall() + 2 * hour;
  await machine.store.write([
    add('192.0.2.3', { expiresAt }),
    add('192.0.2.1', { expiresAt }),
    { kind: 'entry', op: 'delete', table: 'ban', prefixes: [parsePrefix('192.0.2.2')], origin: source },
  ]);
  machine.kill();
  await machine.start();
  assert.deepEqual(await shown(machine), ['192.0.2.1 7200s', '192.0.2.3 7200s']);
  assert.deepEqual(await kernelHas(machine), ['hosts 192.0.2.1 7200s', 'hosts 192.0.2.3 7200s']);
  assert.deepEqual(machine.unknown, []);
});

for (const what of ['adopt', 'remove'] as const) {
  test(`what the kernel has and nobody knows is shown, and with unknown: ${what} it ${what === 'adopt' ? 'stays' : 'goes'}`, async () => {
    const machine = new Machine();
    machine.text = policy(what);
    await machine.start();
    await machine.engine.tables.add('ban', entries('192.0.2.1', '198.51.100.0/24', '198.51.100.9'), source);
    await machine.engine.tables.add('fed', entries('192.0.2.7'), source);
    machine.kill();
    machine.disk = memoryDisk();
    await machine.start();
    const all = ['192.0.2.1', '198.51.100.0/24', '198.51.100.9'];
    assert.deepEqual(machine.unknown, [
      { table: 'ban', count: 3, examples: [all[0], all[2], all[1]], what: what === 'adopt' ? 'adopted' : 'removed' },
    ]);
    const expected = what === 'adopt' ? all : [];
    assert.deepEqual(
      (await shown(machine)).map((line) => line.split(' ')[0]),
      expected,
    );
    assert.equal((await kernelHas(machine)).length, expected.length);
    assert.deepEqual((await shown(machine, 'fed')).length, 1, 'what rules may have added is nothing strange');
    machine.kill();
    await machine.start();
    assert.deepEqual(machine.unknown.length, 1, 'from then on it is known');
    assert.deepEqual(
      (await shown(machine)).map((line) => line.split(' ')[0]),
      expected,
    );
  });
}

for (const stepMs of [hour, -hour]) {
  test(`a clock stepped by ${stepMs / hour} h over a reboot leaves nothing permanent and loses nothing`, async () => {
    const machine = await new Machine().start();
    await machine.engine.tables.add('ban', [entry('192.0.2.1', 2 * hour), entry('192.0.2.2', 0)], source);
    machine.kill();
    machine.loseKernel();
    machine.clock.step(stepMs);
    machine.bootId = 'boot-2';
    await machine.start();
    // Forward it could be time in which the machine was off; back it can't.
    const leftS = stepMs > 0 ? 3600 : 7200;
    assert.deepEqual(await shown(machine), [`192.0.2.1 ${leftS}s`, '192.0.2.2 for ever']);
    machine.clock.step(-stepMs);
    await machine.clock.pass(2_000);
    assert.deepEqual(await shown(machine), ['192.0.2.1 7198s', '192.0.2.2 for ever']);
    assert.deepEqual(await kernelHas(machine), ['hosts 192.0.2.1 7198s', 'hosts 192.0.2.2']);
  });
}

test('a ban that seemed expired after a reboot with a wrong clock is back when the clock is put right', async () => {
  const machine = await new Machine().start();
  await machine.engine.tables.add('ban', [entry('192.0.2.1', hour / 2)], source);
  machine.kill();
  machine.loseKernel();
  machine.clock.step(hour);
  machine.bootId = 'boot-2';
  await machine.start();
  assert.deepEqual(await kernelHas(machine), []);
  machine.clock.step(-hour);
  await machine.clock.pass(1_500);
  assert.deepEqual(await kernelHas(machine), ['hosts 192.0.2.1 1799s']);
  assert.deepEqual(await shown(machine), ['192.0.2.1 1799s']);
});

for (const stepMs of [0, hour, -hour]) {
  test(`a grant of a knock has after a reboot what was left of it, with the clock ${stepMs / hour} h off meanwhile`, async () => {
    const machine = await new Machine().start();
    const [early, late] = ['192.0.2.1', '2001:db8::1'].map(parsePrefix) as [Prefix, Prefix];
    await machine.engine.knocks.grant('ssh', early, { by: 'spa2', client: 'laptop', durationMs: hour / 4 });
    machine.clock.step(stepMs);
    await machine.clock.pass(2_000);
    await machine.engine.knocks.grant('ssh', late);
    await machine.clock.pass(hour / 2);
    for (const key of ['ssh', 'ssh nowhere', 'gone 192.0.2.9', ' ']) {
      await machine.store.write([{ kind: 'value', space: 'knock', key, value: { by: 'spa', at: 1 } }]);
    }
    await machine.store.write([{ kind: 'value', space: 'knock', key: 'ssh 192.0.2.9', value: 'for ever' }]);
    machine.kill();
    machine.loseKernel();
    machine.clock.step(-stepMs);
    await machine.start();
    await settle();
    const grants = await machine.engine.knocks.list();
    assert.deepEqual(
      grants.map(({ source: who, by, until }) => `${formatPrefix(who)} ${by} ${left(until, machine)}`),
      ['2001:db8::1 spa 5400s'],
    );
  });
}

test('records that come into the store from elsewhere are in tables and kernel, deletes too', async () => {
  const [here, there] = [await new Machine().start(), await new Machine().start()];
  await here.engine.tables.add('ban', entries('192.0.2.1', '192.0.2.2'), source);
  await there.clock.pass(5_000);
  await there.engine.tables.add(
    'ban',
    [entry('192.0.2.1', 2 * hour), entry('not 203.0.113.7'), entry('203.0.113.0/24')],
    source,
  );
  await there.engine.tables.add('ban', entries('192.0.2.2'), source);
  await there.engine.tables.delete('ban', [parsePrefix('192.0.2.2')], source);
  await here.clock.pass(10_000);
  await here.store.join(there.store.registers());
  assert.deepEqual(await here.engine.takeFromStore(), { added: 2, changed: 1, deleted: 1, unchanged: 0, refused: 0 });
  assert.deepEqual(await shown(here), ['192.0.2.1 7195s', '203.0.113.0/24 3595s', 'not 203.0.113.7 3595s']);
  assert.deepEqual(await kernelHas(here), [
    'hosts 192.0.2.1 7195s',
    'prefixes 203.0.113.0-203.0.113.6 3595s',
    'prefixes 203.0.113.8-203.0.113.255 3595s',
  ]);
  assert.deepEqual(await here.engine.takeFromStore(), { added: 0, changed: 0, deleted: 0, unchanged: 0, refused: 0 });
});
