import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DutySpec } from '../../src/kernel/packet-duty.js';
import { openPackets, type PacketsOptions, type PacketWorker } from '../../src/kernel/packets.js';
import { parseAddress } from '../../src/net/address.js';
import type { OddSpec } from './duties/odd.js';
import { link, type Namespace, namespace, type Scope, until } from './namespace.js';
import { flood } from './syn.js';

interface Bench {
  readonly client: Namespace;
  readonly firewall: Namespace;
  readonly packets: PacketWorker;
  readonly events: { duty: string; event: unknown }[];
}

/** Behind the client, so that answers need no neighbour of their own. */
const CLIENTS = parseAddress('198.18.0.0');
const CLIENTS6 = parseAddress('2001:db8:1::');
const FIREWALL = parseAddress('198.51.100.254');
const FIREWALL6 = parseAddress('2001:db8:1::fffe');

async function open(t: Scope, options: Partial<PacketsOptions> = {}): Promise<Bench> {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link(
    [client, 'wan0', '198.51.100.1/24', '2001:db8:1::1/64'],
    [firewall, 'wan', '198.51.100.254/24', '2001:db8:1::fffe/64'],
  );
  await firewall.run('ip', 'route', 'add', '198.18.0.0/24', 'via', '198.51.100.1');
  await firewall.nft(`
    table inet t {
      counter logged { }
      counter logged6 { }
      chain in {
        type filter hook prerouting priority -300
        ip daddr 198.51.100.254 tcp dport 9 counter name logged log group 5 prefix "echo" drop
        ip6 daddr 2001:db8:1::fffe tcp dport 9 counter name logged6 meta mark set 7 log group 6 prefix "six" drop
      }
    }`);
  const events: Bench['events'] = [];
  const packets = openPackets({
    namespace: firewall.name,
    event: (duty, event) => events.push({ duty, event }),
    ...options,
  });
  t.after(() => packets.close());
  return { client, firewall, packets, events };
}

function echo(more: Partial<DutySpec> = {}): DutySpec {
  return {
    name: 'echo',
    group: 5,
    module: new URL('./duties/echo.js', import.meta.url).href,
    spec: {},
    copyBytes: 128,
    replies: { perSecond: 1e6, burst: 1e6 },
    ...more,
  };
}

function odd(spec: OddSpec, more: Partial<DutySpec> = {}): DutySpec {
  return echo({ name: 'odd', module: new URL('./duties/odd.js', import.meta.url).href, spec, ...more });
}

/** Drops answers, and counts them. */
async function countAnswers(client: Namespace): Promise<() => Promise<number>> {
  await client.nft(`table inet t { counter answers { }
    chain c { type filter hook prerouting priority -300
      tcp sport 9 tcp flags & (syn | ack) == syn | ack tcp window 0 counter name answers drop
    }
  }`);
  return async () => Number(/packets (\d+)/.exec(await client.list('list', 'counter', 'inet', 't', 'answers'))?.[1]);
}

test('a real client connects to what a duty answers, over IPv4 and IPv6', async (t) => {
  const { client, packets } = await open(t);
  await packets.setDuties([echo(), echo({ name: 'echo6', group: 6 })]);
  await client.run('nc', '-z', '-w', '3', '198.51.100.254', '9');
  await client.run('nc', '-z', '-w', '3', '2001:db8:1::fffe', '9');
  await assert.rejects(client.run('nc', '-z', '-w', '1', '198.51.100.254', '10'));
  const counters = packets.counters();
  for (const name of ['echo', 'echo6']) {
    const { packets: seen, replies, lost, failures } = counters.get(name) ?? assert.fail();
    assert.ok(seen >= 1);
    assert.deepEqual([replies, lost, failures], [seen, 0, 0]);
  }
  assert.deepEqual(packets.sender().sendFailed, 0);
});

test('every SYN of a flood is answered, with datagrams shared under load only', async (t) => {
  const { client, packets } = await open(t);
  const answers = await countAnswers(client);
  await packets.setDuties([echo()]);
  const load = { from: CLIENTS, to: FIREWALL, port: 9 };
  const slow = await flood(client.name, { ...load, packets: 500, perSecond: 2_000 });
  assert.equal(packets.counters().get('echo')?.threshold, 1);
  const thresholds = new Set<number | undefined>();
  const sampling = setInterval(() => thresholds.add(packets.counters().get('echo')?.threshold), 5);
  const fast = await flood(client.name, { ...load, packets: 150_000 });
  clearInterval(sampling);
  assert.ok(thresholds.has(64));
  await until('all answers', async () => (await answers()) === slow + fast, 20_000);
  await until('single packets', () => packets.counters().get('echo')?.threshold === 1);
  const { packets: seen, replies, lost, limited } = packets.counters().get('echo') ?? assert.fail();
  assert.deepEqual([seen, replies, lost, limited], [slow + fast, slow + fast, 0, 0]);
  assert.deepEqual(packets.sender(), { sent: slow + fast, sendFailed: 0 });
});

test('replies keep to the limit of the duty', async (t) => {
  const { client, packets } = await open(t);
  const answers = await countAnswers(client);
  await packets.setDuties([echo({ replies: { perSecond: 1, burst: 10 } })]);
  await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 500 });
  await until('all packets', () => packets.counters().get('echo')?.packets === 500);
  const { replies, limited } = packets.counters().get('echo') ?? assert.fail();
  assert.ok(replies >= 10 && replies <= 12, `${replies} replies`);
  assert.equal(replies + limited, 500);
  await until('the answers', async () => (await answers()) === replies);
});

test('a duty without a limit may not answer at all', async (t) => {
  const { client, packets } = await open(t);
  const { replies: _, ...without } = echo();
  await packets.setDuties([without]);
  await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 20 });
  await until('all packets', () => packets.counters().get('echo')?.packets === 20);
  assert.equal(packets.counters().get('echo')?.replies, 0);
});

test('a packet comes with its prefix, hook, mark and payload', async (t) => {
  const { client, packets, events } = await open(t);
  await packets.setDuties([odd({ tell: true }), odd({ tell: true }, { name: 'six', group: 6, copyBytes: 44 })]);
  await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 1 });
  await flood(client.name, { from: CLIENTS6, to: FIREWALL6, port: 9, packets: 1 });
  await until('the events', () => events.length === 2);
  assert.deepEqual(events, [
    {
      duty: 'odd',
      event: { seen: 1, prefix: 'echo', hook: 0, mark: 0, group: 5, payloadBytes: 40, version: 4 },
    },
    {
      duty: 'six',
      event: { seen: 1, prefix: 'six', hook: 0, mark: 7, group: 6, payloadBytes: 44, version: 6 },
    },
  ]);
});

test('what the kernel had no room for is counted, and the rest goes on', async (t) => {
  const { client, firewall, packets } = await open(t);
  const gate = new SharedArrayBuffer(4);
  await packets.setDuties([odd({ gate })]);
  await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 200_000 });
  const logged = Number(
    /packets (\d+)/.exec(await firewall.list('list', 'counter', 'inet', 't', 'logged'))?.[1] ?? assert.fail(),
  );
  const seen = () => packets.counters().get('odd') ?? assert.fail();
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
  await until('the worker to go on', () => seen().packets > 1, 10_000);
  // A loss shows with the next packet.
  await until('all packets', async () => {
    await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 1 });
    return seen().packets + seen().lost > logged;
  });
  assert.ok(seen().lost > 0);
});

test('a duty that fails on a packet is counted, sends nothing, and gets the next packet', async (t) => {
  const { client, packets } = await open(t);
  await packets.setDuties([odd({ throw: true })]);
  await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 10 });
  await until('all packets', () => packets.counters().get('odd')?.packets === 10);
  assert.equal(packets.counters().get('odd')?.failures, 10);
  assert.deepEqual(packets.sender(), { sent: 0, sendFailed: 0 });
});

test('duties that stay the same go on undisturbed; others come and go', async (t) => {
  const { client, packets, events } = await open(t);
  const syn = () => flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 1 });
  const syn6 = () => flood(client.name, { from: CLIENTS6, to: FIREWALL6, port: 9, packets: 1 });
  const five = odd({ tell: true });
  const six = odd({ tell: true }, { name: 'six', group: 6 });
  const seen = () => events.map(({ duty, event }) => `${duty} ${(event as { seen: number }).seen}`);
  await packets.setDuties([five]);
  await syn();
  await until('the first', () => events.length === 1);
  await packets.setDuties([five, six]);
  await syn();
  await syn6();
  await until('three', () => events.length === 3);
  await packets.setDuties([six]);
  await syn();
  await syn6();
  await until('four', () => events.length === 4);
  await packets.setDuties([five, six]);
  await syn();
  await until('five', () => events.length === 5);
  assert.deepEqual(seen().sort(), ['odd 1', 'odd 1', 'odd 2', 'six 1', 'six 2']);
  assert.deepEqual([...packets.counters().keys()], ['odd', 'six']);
});

test('a group that is taken is a conflict, and the duties stay as they were', async (t) => {
  const { client, firewall, packets, events } = await open(t);
  await packets.setDuties([odd({ tell: true })]);
  const other = openPackets({ namespace: firewall.name, event: () => {} });
  t.after(() => other.close());
  await assert.rejects(other.setDuties([odd({})]), { code: 'conflict', message: /NFLOG group 5: another program/ });
  await other.setDuties([odd({}, { group: 6 })]);
  await assert.rejects(packets.setDuties([odd({ tell: true }), odd({}, { name: 'six', group: 6 })]), {
    code: 'conflict',
  });
  await assert.rejects(packets.setDuties([odd({ broken: true })]), {
    code: 'internal',
    message: /odd: this duty is broken/,
  });
  await assert.rejects(packets.setDuties([odd({}), odd({}, { name: 'twice' })]), { code: 'conflict' });
  await assert.rejects(packets.setDuties([odd({}), odd({}, { group: 6 })]), { code: 'conflict' });
  await assert.rejects(packets.setDuties([odd({}, { module: 'file:///nowhere.js' })]), { code: 'internal' });
  await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 1 });
  await until('the event', () => events.length === 1);
});

test('a worker that dies is replaced with the same duties', async (t) => {
  const died: string[] = [];
  const { client, packets } = await open(t, { died: (error) => died.push(error.message) });
  await packets.setDuties([echo()]);
  await client.run('nc', '-z', '-w', '3', '198.51.100.254', '9');
  const before = packets.counters().get('echo')?.packets ?? 0;
  await packets.kill();
  await until('another worker', async () => {
    await flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 1 });
    return (packets.counters().get('echo')?.packets ?? 0) > before;
  });
  assert.equal(packets.deaths, 1);
  assert.match(died[0] ?? '', /the packet worker died/);
});

test('closing ends the worker soon, also under load', async (t) => {
  const { client, packets } = await open(t);
  await packets.setDuties([echo()]);
  const load = flood(client.name, { from: CLIENTS, to: FIREWALL, port: 9, packets: 40_000, perSecond: 40_000 });
  await sleep(200);
  const start = performance.now();
  await packets.close();
  assert.ok(performance.now() - start < 1500);
  assert.equal(packets.deaths, 0);
  await load;
  await assert.rejects(packets.setDuties([]), { code: 'busy' });
});
