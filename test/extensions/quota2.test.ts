/** Quotas through the engine: with packets on a real kernel, and over reloads, restarts and boots. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { compileText } from '../../src/cli/policy-file.js';
import type { CompilePolicy } from '../../src/engine/policy-control.js';
import { PosternError } from '../../src/errors.js';
import { apiBench } from '../api/fixture.js';
import { source } from '../engine/fixture.js';
import { type StoreBench, storeBench } from '../engine/store-bench.js';
import { ruleBed } from '../kernel/rule-bed.js';
import { compiled, udp } from '../kernel/scratch-world.js';

const compile: CompilePolicy = async (text, previous) => compileText(text, previous);
const input = (...rules: string[]) => `chains: { input: { policy: drop, rules: [ ${rules.join(', ')} ] } }`;
const policy = (quotas: string, ...rules: string[]) =>
  `version: 1\nhygiene: off\nquotas: { ${quotas} }\n${input(...rules)}\n`;

const v4 = (bytes: number) => udp('127.0.0.2', '127.0.0.1', 9, new Uint8Array(bytes - 28));
const v6 = (bytes: number) => udp('::1', '::1', 9, new Uint8Array(bytes - 48));

const bed = await ruleBed({ after }, policy('q: { bytes: 0 }'));
const { quotas } = bed.bench.engine;
const value = async (name = 'q') => Number((await quotas.get(name)).value);
const each = async (count: number, packet: () => ReturnType<typeof v4>) => {
  const hits: string[] = [];
  for (let sent = 0; sent < count; sent++) hits.push((await bed.send(packet())).join(''));
  return hits;
};

test('both families and several rules and chains take from one quota', async () => {
  await bed.policy(
    policy('q: { bytes: 500 }', '{ from: 127.0.0.2, quota: q, do: count }', '{ quota: not q, do: count }'),
  );
  assert.deepEqual(await bed.send(v4(100)), [1, 0]);
  assert.equal(await value(), 300);
  assert.deepEqual(await bed.send(v6(100)), [0, 0]);
  assert.equal(await value(), 200);
  assert.deepEqual(await bed.send(v4(150)), [1, 1]);
  assert.equal(await value(), 0);
});

test('packets are exact, however often the same number is set again', async () => {
  await bed.policy(policy('q: { packets: 3 }', '{ quota: q, do: count }'));
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await each(5, () => v4(100)), ['1', '1', '1', '0', '0']);
    assert.equal(await value(), 0);
    assert.equal(Number((await quotas.set('q', 3n, source)).value), 3);
  }
  await quotas.set('q', 0n, source);
  assert.deepEqual([...(await each(1, () => v4(100))), ...(await each(1, () => v6(100)))], ['0', '0']);
  await quotas.add('q', 2n, source);
  assert.deepEqual(await each(3, () => v6(100)), ['1', '1', '0']);
});

test('a rule that only looks takes nothing, with its negation, and follows what others take', async () => {
  const looks = '{ name: q, no_change: true }';
  for (const unit of ['bytes: 250', 'packets: 2']) {
    const [one, all] = unit === 'packets: 2' ? [1, 2] : [100, 250];
    await bed.policy(policy('other: { bytes: 1 }'));
    await bed.policy(
      policy(
        `q: { ${unit} }`,
        `{ quota: ${looks}, do: count }`,
        `{ quota: { not: ${looks} }, do: count }`,
        '{ udp: any, sport: 7, quota: q, do: count }',
      ),
    );
    assert.deepEqual(await each(2, () => v4(100)), ['100', '100']);
    assert.equal(await value(), all);
    const charging = { ...v4(100), udp: { sourcePort: 7, destinationPort: 9 } };
    assert.deepEqual(await bed.send(charging), [1, 0, 1]);
    assert.equal(await value(), all - one);
    await quotas.set('q', 0n, source);
    assert.deepEqual(await bed.send(v4(100)), [0, 1, 0], unit);
  }
});

test('one rule raises a quota that another uses up', async () => {
  const pair = ['{ udp: any, sport: 7, quota: { name: q, grow: true }, do: drop }', '{ quota: q, do: count }'];
  const filling = (bytes: number) => ({ ...v4(bytes), udp: { sourcePort: 7, destinationPort: 9 } });
  await bed.policy(policy('q: { bytes: 0 }', ...pair));
  assert.deepEqual(await bed.send(v4(100)), [0, 0]);
  assert.deepEqual(await bed.send(filling(350)), [1, 0]);
  await quotas.follow();
  assert.equal(await value(), 350);
  assert.deepEqual(await each(4, () => v4(100)), ['01', '01', '01', '00']);
  assert.equal(await value(), 0);
  await bed.send(filling(200));
  await quotas.follow();
  assert.deepEqual(await each(3, () => v4(100)), ['01', '01', '00']);

  await bed.policy(policy('p: { packets: 1 }', ...pair.map((rule) => rule.replace(/\bq\b/, 'p'))));
  const sent: string[] = [];
  for (const packet of [v4(100), v4(100), filling(60), v4(100), v4(100)]) {
    await quotas.follow();
    sent.push((await bed.send(packet)).join(''));
  }
  assert.deepEqual(sent, ['01', '00', '10', '01', '00']);
});

test('the timer of the daemon brings about what rules look at', async () => {
  await bed.policy(
    policy(
      'q: { bytes: 0 }',
      '{ udp: any, sport: 7, quota: { name: q, grow: true }, do: drop }',
      '{ quota: q, do: count }',
    ),
  );
  await bed.send({ ...v4(1_000), udp: { sourcePort: 7, destinationPort: 9 } });
  const deadline = Date.now() + 20_000;
  while ((await bed.send(v4(100)))[1] === 0 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok((await value()) > 0);
});

test('what is left outlives a reload and a restart of the daemon; a changed amount changes it by the difference', async () => {
  for (const [unit, taken] of [
    ['bytes', 100],
    ['packets', 1],
  ] as const) {
    await bed.policy(policy('other: { bytes: 1 }'));
    const text = (amount: number, more = '') =>
      policy(`q: { ${unit}: ${amount} }`, '{ quota: q, do: count }', ...(more ? [more] : []));
    await bed.policy(text(1000));
    await bed.send(v4(100));
    await bed.policy(text(1000, '{ tcp: 1, do: drop }'));
    assert.equal(await value(), 1000 - taken);
    await bed.policy(text(2000, '{ tcp: 1, do: drop }'));
    assert.equal(await value(), 2000 - taken);
    await quotas.set('q', BigInt(2 * taken), source);
    await bed.policy(text(2000));
    assert.equal(await value(), 2 * taken);
    assert.deepEqual(await each(3, () => v4(100)), ['1', '1', '0'], unit);
  }
});

const both = 'bytes: { bytes: 1000 }, packets: { packets: 1000 }, grown: { bytes: 5 }';
const users = [
  '{ quota: bytes, do: count }',
  '{ quota: packets, do: count }',
  '{ quota: { name: grown, grow: true }, do: count }',
];

function count(made: StoreBench, packets: number, bytes: number): void {
  const { objects } = made.engine.policy.current!.plan.manifest;
  for (const [index, { role, kind }] of objects.entries()) {
    if (role.kind === 'extension' && kind !== 'limit') made.kernel.countPackets(index, packets, bytes);
  }
}

test('what was left comes back after a boot, and what was counted goes on from there', async () => {
  const made = await storeBench(policy(both, ...users), compile);
  const left = async () =>
    Object.fromEntries((await made.engine.quotas.list()).map(({ name, value }) => [name, Number(value)]));
  count(made, 3, 300);
  assert.deepEqual(await left(), { bytes: 700, packets: 997, grown: 305 });
  await made.again('restart');
  assert.deepEqual(await left(), { bytes: 700, packets: 997, grown: 305 });
  await made.again('reboot');
  assert.deepEqual(await left(), { bytes: 700, packets: 997, grown: 305 });
  count(made, 2, 200);
  assert.deepEqual(await left(), { bytes: 500, packets: 995, grown: 505 });
  await made.engine.quotas.reset('grown', source);
  await made.engine.quotas.subtract('packets', 900n, source);
  await made.engine.quotas.add('bytes', 1000n, source);
  await made.again('restart');
  assert.deepEqual(await left(), { bytes: 1500, packets: 95, grown: 5 });
});

test('a quota goes from 0 to 2^53 - 1, and has to be one of the policy', async () => {
  const { engine } = await storeBench(policy(both, ...users), compile);
  assert.equal((await engine.quotas.subtract('bytes', 5000n, source)).value, 0n);
  const refused = (code: string, text: RegExp) => (error: unknown) =>
    error instanceof PosternError && error.code === code && text.test(error.message);
  await assert.rejects(
    engine.quotas.add('bytes', 2n ** 53n, source),
    refused('invalid', /it goes from 0 to 9007199254740991/),
  );
  await assert.rejects(
    engine.quotas.set('guest', 1n, source),
    refused('not-found', /the policy has: bytes, packets, grown/),
  );
});

for (const [text, message] of [
  ['q: { bytes: 1, packets: 1 }', /a quota is an amount of bytes or of packets/],
  ['q: {}', /a quota is an amount of bytes or of packets/],
] as const) {
  test(`quotas: { ${text} } is refused`, () => assert.throws(() => compiled(policy(text)), message));
}

test('the negation of a rule that adds is refused at its line', () => {
  const rule = '{ quota: { not: { name: q, grow: true } }, do: count }';
  assert.throws(() => compiled(policy('q: { bytes: 1 }', rule)), /there is no opposite/);
});

test('the API lists quotas and changes them', async () => {
  const api = await apiBench();
  api.text = policy('q: { bytes: 10MB }, p: { packets: 5 }', '{ quota: q, do: count }', '{ quota: p, do: count }');
  await api.engine.policy.apply();
  const told: unknown[] = [];
  api.engine.events.on('quota', ({ quota, value: now, unit, source: { kind } }) => told.push([quota, now, unit, kind]));
  const q = (now: number) => ({ name: 'q', unit: 'bytes', value: now, initial: 10_000_000 });
  assert.deepEqual((await api.ask('GET', '/v1/quotas/q')).body, q(10_000_000));
  assert.deepEqual((await api.ask('PUT', '/v1/quotas/q', { value: 500 })).body, q(500));
  assert.deepEqual((await api.ask('POST', '/v1/quotas/q/add', { amount: 20 })).body, q(520));
  assert.deepEqual((await api.ask('POST', '/v1/quotas/q/subtract', { amount: 100 })).body, q(420));
  assert.deepEqual((await api.ask('POST', '/v1/quotas/q/reset')).body, q(10_000_000));
  assert.equal((await api.ask('PUT', '/v1/quotas/q', { value: -1 })).status, 400);
  assert.equal((await api.ask('GET', '/v1/quotas/r')).status, 404);
  assert.deepEqual(told.length, 4);
  assert.deepEqual(told[0], ['q', 500, 'bytes', 'rest']);
  const metrics = await api.api.inject({ method: 'GET', url: '/metrics' });
  assert.match(metrics.body, /^postern_quota_value\{quota="p",unit="packets"\} 5$/m);
  await api.close();
});
