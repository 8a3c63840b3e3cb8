/** Grants of knocks over the fake kernel, with a store and without one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileText } from '../../src/cli/policy-file.js';
import type { Engine } from '../../src/engine/engine.js';
import { formatDoorPort, type GrantAs, type KnockEvent } from '../../src/engine/knocks.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import { formatPrefix, parsePrefix } from '../../src/net/prefix.js';
import { pknockProcLine } from '../../src/wire/pknock-proc.js';
import { settle } from './fake-clock.js';
import { bench, source } from './fixture.js';
import { storeBench } from './store-bench.js';

const minute = 60_000;
const hour = 60 * minute;

const policy = `
version: 1
knocks:
  ssh: { ports: [4002, 4001], time: 10s, autoclose: 1h }
  ftp: { spa: 4000, open_secret: { file: open }, close_secret: { file: close } }
  vpn: { spa2: 4003, clients: { file: clients }, autoclose: 4h, ipv4_prefixes: [24], ipv6_prefixes: [56, 64], size: 3 }
chains: { input: { policy: drop, rules: [ { tcp: 22, knock: ssh, do: accept }, { tcp: 22, knock: vpn, do: accept }, { tcp: 21, knock: ftp, do: accept } ] } }
`;
const compile = async (...args: Parameters<typeof compileText>) => compileText(...args);
const stored = () => storeBench(policy, compile);

const grant = (engine: Engine, knock: string, address: string, as?: GrantAs) =>
  engine.knocks.grant(knock, parsePrefix(address), as);
const asLaptop: GrantAs = { by: 'spa2', client: 'laptop' };
const tcp = (port: number) => ({ protocol: 'tcp' as const, port });
const udp = (port: number) => ({ protocol: 'udp' as const, port });

/** `198.51.100.7 60m`, sorted; what is left in minutes. */
async function inside({ engine, clock }: { engine: Engine; clock: { wall(): number } }, knock?: string) {
  const texts = (await engine.knocks.list(knock)).map(({ source: who, ports, until }) => {
    const where = ports === undefined ? '' : ` ${ports.map(formatDoorPort).sort().join()}`;
    const left = until === undefined ? 'for ever' : `${Math.round((until - clock.wall()) / minute)}m`;
    return `${formatPrefix(who)}${where} ${left}`;
  });
  return texts.sort();
}

function listen(engine: Engine): string[] {
  const told: string[] = [];
  engine.events.on('knock', ({ what, knock, address, by, client, ports }: KnockEvent) => {
    told.push([what, knock, address, by, client, ports?.join()].filter((part) => part !== undefined).join(' '));
  });
  return told;
}

/** What a rule does when the last knock comes. */
async function kernelLetsIn(engine: Engine, kernel: Kernel, knock: string, address: string, timeoutMs: number) {
  const { sets } = engine.policy.current!.plan.manifest;
  const { family } = parseAddress(address);
  const set = sets.findIndex(
    ({ role }) =>
      role.kind === 'extension' && role.name === knock && role.purpose === 'granted' && role.family === family,
  );
  await kernel.change([{ op: 'add', set, key: addressBytes(parseAddress(address)), timeoutMs }]);
}

test('a grant says who, by which knock, when and until when, in both families', async () => {
  const { engine, clock } = await stored();
  const now = clock.wall();
  await grant(engine, 'ftp', '198.51.100.7');
  await grant(engine, 'vpn', '2001:db8::7', { ...asLaptop, durationMs: 10 * minute });
  assert.deepEqual(await engine.knocks.list(), [
    { knock: 'ftp', source: parsePrefix('198.51.100.7'), by: 'spa', at: now },
    {
      knock: 'vpn',
      source: parsePrefix('2001:db8::7'),
      by: 'spa2',
      client: 'laptop',
      at: now,
      until: now + 10 * minute,
    },
  ]);
  assert.equal((await engine.knocks.find('vpn', parsePrefix('2001:db8::7')))!.client, 'laptop');
  assert.equal(await engine.knocks.find('vpn', parsePrefix('2001:db8::8')), undefined);
  assert.deepEqual(engine.knocks.names(), ['ssh', 'ftp', 'vpn']);
  await assert.rejects(engine.knocks.list('smtp'), { code: 'not-found' });
});

for (const where of ['a store', 'memory'] as const) {
  test(`grants are told of when they begin, are taken back, and end: with ${where}`, async () => {
    const made = where === 'a store' ? await stored() : await bench(policy, { compile });
    const { engine, clock, kernel } = made;
    const told = listen(engine);
    await kernelLetsIn(engine, kernel, 'ssh', '198.51.100.7', hour);
    await engine.knocks.noticed('ssh', parseAddress('198.51.100.7'));
    await grant(engine, 'vpn', '198.51.100.8', { ...asLaptop, durationMs: 10 * minute, ports: [tcp(22)] });
    await grant(engine, 'ftp', '198.51.100.9');
    assert.equal(await engine.knocks.revoke('ftp', parsePrefix('198.51.100.9'), source), true);
    assert.equal(await engine.knocks.revoke('ftp', parsePrefix('198.51.100.9'), source), false);
    assert.deepEqual(told.splice(0), [
      'granted ssh 198.51.100.7 sequence',
      'granted vpn 198.51.100.8 spa2 laptop tcp/22',
      'granted ftp 198.51.100.9 spa',
      'revoked ftp 198.51.100.9 cli',
    ]);
    await clock.pass(10 * minute - 1);
    assert.deepEqual(told, []);
    await clock.pass(1);
    assert.deepEqual(told.splice(0), ['expired vpn 198.51.100.8 spa2 laptop tcp/22']);
    assert.deepEqual(await inside(made), ['198.51.100.7 50m']);
    await clock.pass(hour);
    assert.deepEqual(told, ['expired ssh 198.51.100.7 sequence']);
    assert.deepEqual(await inside(made), []);
  });
}

test('a restart and a reboot leave each grant what was left of its time, and tell of its end', async () => {
  const made = await stored();
  await kernelLetsIn(made.engine, made.kernel, 'ssh', '198.51.100.7', hour);
  await made.engine.knocks.noticed('ssh', parseAddress('198.51.100.7'));
  await grant(made.engine, 'ftp', '2001:db8::7');
  await grant(made.engine, 'vpn', '198.51.100.0/24', asLaptop);
  await grant(made.engine, 'vpn', '2001:db8::8', { ...asLaptop, ports: [tcp(22), udp(51_820)] });
  await made.clock.pass(10 * minute);
  const before = await made.engine.knocks.list();
  const expected = [
    '198.51.100.0/24 230m',
    '198.51.100.7 50m',
    '2001:db8::7 for ever',
    '2001:db8::8 tcp/22,udp/51820 230m',
  ];
  assert.deepEqual(await inside(made), expected);
  for (const what of ['restart', 'reboot', 'restart'] as const) {
    await made.again(what);
    await settle();
    assert.deepEqual(await inside(made), expected, what);
    assert.deepEqual(new Set((await made.engine.knocks.list()).map(withoutTime)), new Set(before.map(withoutTime)));
  }
  const told = listen(made.engine);
  await made.clock.pass(51 * minute);
  assert.deepEqual(told, ['expired ssh 198.51.100.7 sequence']);
  await made.again('reboot');
  await settle();
  assert.equal((await inside(made, 'ssh')).length, 0, 'what has ended stays so');
});

for (const step of [hour, -hour, 24 * hour]) {
  test(`with the clock set by ${step / hour} h no grant becomes permanent, none vanishes, and each keeps what was left`, async () => {
    const made = await stored();
    await grant(made.engine, 'ftp', '198.51.100.6');
    await grant(made.engine, 'vpn', '198.51.100.7', { ...asLaptop, durationMs: 30 * minute });
    await grant(made.engine, 'vpn', '198.51.100.8', asLaptop);
    made.clock.step(step);
    await made.clock.pass(10 * minute);
    const expected = ['198.51.100.6 for ever', '198.51.100.7 20m', '198.51.100.8 230m'];
    assert.deepEqual(await inside(made), expected);
    await made.again('reboot');
    await settle();
    assert.deepEqual(await inside(made), expected, 'after a reboot');
    const told = listen(made.engine);
    await made.clock.pass(21 * minute);
    assert.deepEqual(told, ['expired vpn 198.51.100.7 spa2 laptop']);
    await made.again('reboot');
    await settle();
    assert.deepEqual(await inside(made), ['198.51.100.6 for ever', '198.51.100.8 209m']);
  });
}

test('a client that asks again stays longer, never shorter, and has what any of its grants allows', async () => {
  const made = await stored();
  const { engine } = made;
  await grant(engine, 'vpn', '198.51.100.7', { ...asLaptop, ports: [tcp(22)], durationMs: 30 * minute });
  await grant(engine, 'vpn', '198.51.100.7', { ...asLaptop, ports: [tcp(22)], durationMs: 10 * minute });
  assert.deepEqual(await inside(made), ['198.51.100.7 tcp/22 30m']);
  await grant(engine, 'vpn', '198.51.100.7', { by: 'spa2', client: 'phone', ports: [udp(53)], durationMs: hour });
  assert.deepEqual(await inside(made), ['198.51.100.7 tcp/22,udp/53 60m']);
  await made.clock.pass(31 * minute);
  assert.deepEqual(await inside(made), ['198.51.100.7 udp/53 29m'], 'each port has its own time in the kernel');
  assert.equal((await engine.knocks.find('vpn', parsePrefix('198.51.100.7')))!.client, 'phone');
  assert.equal(await engine.knocks.revoke('vpn', parsePrefix('198.51.100.7'), source), true);
  assert.deepEqual(await inside(made), []);
});

test('prefixes are let in where the policy says so, and single ports for clients with keys of their own', async () => {
  const { engine, ...made } = await stored();
  await grant(engine, 'vpn', '2001:db8:0:100::/56', { ...asLaptop, ports: [tcp(22)] });
  await grant(engine, 'vpn', '2001:db8::/64', asLaptop);
  assert.deepEqual(await inside({ engine, ...made }), ['2001:db8:0:100::/56 tcp/22 240m', '2001:db8::/64 240m']);
  await assert.rejects(grant(engine, 'vpn', '198.51.0.0/16', asLaptop), { code: 'forbidden' });
  await assert.rejects(grant(engine, 'ftp', '198.51.100.0/24'), { code: 'forbidden' });
  await assert.rejects(grant(engine, 'ftp', '198.51.100.7', { by: 'spa', ports: [tcp(21)] }), { code: 'forbidden' });
  assert.equal(await engine.knocks.find('ftp', parsePrefix('198.51.100.0/24')), undefined);
  assert.equal(await engine.knocks.revoke('ftp', parsePrefix('198.51.100.0/24'), source), false);
});

test('a grant that finds no place is an error, and is on no disk', async () => {
  const made = await stored();
  for (const last of [1, 2, 3]) await grant(made.engine, 'vpn', `198.51.100.${last}`, asLaptop);
  await assert.rejects(grant(made.engine, 'vpn', '198.51.100.4', asLaptop), { code: 'full' });
  await made.again('reboot');
  await settle();
  assert.equal((await inside(made)).length, 3);
});

test('who came in while no daemon took notes is listed, and is back after a reboot', async () => {
  const made = await stored();
  const { kernel } = made;
  await kernelLetsIn(made.engine, kernel, 'ssh', '2001:db8::7', hour);
  const [found] = await made.engine.knocks.list('ssh');
  assert.equal(found!.at, undefined);
  await made.again('restart');
  await made.clock.pass(10 * minute);
  await made.again('reboot');
  await settle();
  assert.deepEqual(await inside(made), ['2001:db8::7 50m']);
});

test('grants are back when somebody has flushed the ruleset', async () => {
  const made = await bench(policy, { compile });
  await grant(made.engine, 'vpn', '198.51.100.7', { ...asLaptop, ports: [tcp(22)] });
  made.kernel.flushRuleset();
  await made.clock.pass(10 * minute);
  assert.deepEqual(await inside(made), ['198.51.100.7 tcp/22 230m']);
});

test('grants of a knock that left the policy do not come back with it', async () => {
  const made = await stored();
  await grant(made.engine, 'ftp', '198.51.100.7');
  await grant(made.engine, 'vpn', '198.51.100.8', asLaptop);
  const without = policy.replace(/ {2}ftp: .*\n/, '').replace(', { tcp: 21, knock: ftp, do: accept }', '');
  await made.engine.policy.apply({ file: 'policy.yaml', text: without });
  await made.engine.policy.apply({ file: 'policy.yaml', text: policy });
  await settle();
  assert.deepEqual(await inside(made), ['198.51.100.8 240m']);
});

test('records are those of the original: half sequences, and who may come in', async () => {
  const { engine, kernel, clock } = await stored();
  const { sets } = engine.policy.current!.plan.manifest;
  const stage = sets.findIndex(
    ({ role }) => role.kind === 'extension' && role.purpose === 'stage1' && role.family === 4,
  );
  await kernel.change([{ op: 'add', set: stage, key: addressBytes(parseAddress('198.51.100.6')), timeoutMs: 10_000 }]);
  await kernelLetsIn(engine, kernel, 'ssh', '198.51.100.7', hour);
  await clock.pass(2_000);
  assert.deepEqual((await engine.knocks.records('ssh')).map(pknockProcLine), [
    'src=198.51.100.6 proto=TCP status=MATCHING accepted_knock_count=1 expir_time=8 [secs] \n',
    'src=198.51.100.7 proto=TCP status=ALLOWED accepted_knock_count=2 autoclose_time=3598 [secs] \n',
  ]);
  await grant(engine, 'ftp', '198.51.100.9');
  assert.deepEqual((await engine.knocks.records('ftp')).map(pknockProcLine), [
    'src=198.51.100.9 proto=UDP status=ALLOWED accepted_knock_count=1 \n',
  ]);
});

/** Until when is worked out anew each time, to the fraction of a millisecond. */
const withoutTime = ({ source: who, by, client, at }: Awaited<ReturnType<Engine['knocks']['list']>>[0]) =>
  [formatPrefix(who), by, client, at].join(' ');
