/** Conditions through the engine, the API and the command line; on the fake kernel. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileText } from '../../src/cli/policy-file.js';
import type { CompilePolicy } from '../../src/engine/policy-control.js';
import { PosternError } from '../../src/errors.js';
import { apiBench } from '../api/fixture.js';
import { source } from '../engine/fixture.js';
import { storeBench } from '../engine/store-bench.js';

const policy = (conditions: string) => `
version: 1
conditions: { ${conditions} }
chains:
  input:
    rules:
      - { condition: maintenance, tcp: 80, do: reject }
      - { condition: not night, udp: any, do: drop }
`;
const usual = policy('maintenance: off, night: on');
const compile: CompilePolicy = async (text, previous) => compileText(text, previous);
const states = (text: string) => new Map(text.split(' ').map((one) => [one.slice(1), one.startsWith('+')] as const));

test('a condition stands as the policy says until somebody sets it', async () => {
  const { engine } = await storeBench(usual, compile);
  const listed = async () => (await engine.conditions.list()).map(({ name, on }) => `${on ? '+' : '-'}${name}`);
  assert.deepEqual(await listed(), ['-maintenance', '+night']);
  assert.deepEqual(await engine.conditions.set(states('+maintenance -night'), source), ['maintenance', 'night']);
  assert.deepEqual(await listed(), ['+maintenance', '-night']);
  assert.deepEqual(await engine.conditions.set(states('+maintenance +night'), source), ['night']);
});

test('what was set outlives a reload, another value in the policy, a restart and a boot', async () => {
  const bed = await storeBench(usual, compile);
  const listed = async () => (await bed.engine.conditions.list()).map(({ name, on }) => `${on ? '+' : '-'}${name}`);
  await bed.engine.conditions.set(states('+maintenance -night'), source);
  bed.text = policy('maintenance: off, night: on, new: on');
  await bed.engine.policy.apply();
  assert.deepEqual(await listed(), ['+maintenance', '-night', '+new']);
  await bed.again('restart');
  assert.deepEqual(await listed(), ['+maintenance', '-night', '+new']);
  await bed.again('reboot');
  assert.deepEqual(await listed(), ['+maintenance', '-night', '+new']);
});

const names = ['a', 'b', 'c', 'd'] as const;
const someStates = (max: number) => fc.dictionary(fc.constantFrom(...names), fc.boolean(), { maxKeys: max });
/** What happens to conditions: they are set, some by a wrong name, the policy has others, the daemon or the machine ends. */
const happening = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('set' as const), states: someStates(4) }) },
  fc.record({ what: fc.constant('policy' as const), states: someStates(4) }),
  fc.record({ what: fc.constantFrom('restart' as const, 'reboot' as const, 'flush' as const) }),
);

test('random settings, reloads, restarts and boots leave conditions as a plain map has them', async () => {
  const policyOf = (has: Readonly<Record<string, boolean>>) =>
    `version: 1\nconditions: ${JSON.stringify(has)}\nchains: { input: { rules: [ { do: count } ] } }\n`;
  await fc.assert(
    fc.asyncProperty(someStates(4), fc.array(happening, { maxLength: 10 }), async (first, happenings) => {
      const bed = await storeBench(policyOf(first), compile);
      /** By the policy, and by whoever set them. */
      let said = new Map(Object.entries(first));
      const done = new Map<string, boolean>();
      const stands = (name: string) => done.get(name) ?? said.get(name);
      for (const happened of happenings) {
        if (happened.what === 'set') {
          const wanted = new Map(Object.entries(happened.states));
          if ([...wanted.keys()].every((name) => said.has(name))) {
            const changed = [...wanted].filter(([name, on]) => stands(name) !== on).map(([name]) => name);
            assert.deepEqual(await bed.engine.conditions.set(wanted, source), changed);
            for (const [name, on] of wanted) done.set(name, on);
          } else await assert.rejects(bed.engine.conditions.set(wanted, source), /there is no condition/);
        } else if (happened.what === 'policy') {
          bed.text = policyOf(happened.states);
          await bed.engine.policy.apply();
          said = new Map(Object.entries(happened.states));
          for (const name of [...done.keys()]) if (!said.has(name)) done.delete(name);
        } else if (happened.what === 'flush') {
          bed.kernel.flushRuleset();
          await bed.clock.pass(1_000);
        } else await bed.again(happened.what);
        const listed = new Map((await bed.engine.conditions.list()).map(({ name, on }) => [name, on]));
        const expected = new Map([...said.keys()].map((name) => [name, stands(name)]));
        assert.deepEqual(listed, expected, happened.what);
      }
      await bed.engine.stop();
    }),
    { numRuns: 40 },
  );
});

test('the policy says how a condition stands that nobody has set, after each reload', async () => {
  const bed = await storeBench(policy('maintenance: off, night: off'), compile);
  await bed.engine.conditions.set(states('-night'), source);
  bed.text = policy('maintenance: on, night: on');
  await bed.engine.policy.apply();
  assert.deepEqual(await bed.engine.conditions.list(), [
    { name: 'maintenance', on: true },
    { name: 'night', on: false },
  ]);
});

test('a condition that left the policy is forgotten', async () => {
  const bed = await storeBench(usual, compile);
  await bed.engine.conditions.set(states('+maintenance -night'), source);
  bed.text = 'version: 1\nchains: { input: { rules: [] } }\n';
  await bed.engine.policy.apply();
  bed.text = usual;
  await bed.engine.policy.apply();
  assert.deepEqual(await bed.engine.conditions.list(), [
    { name: 'maintenance', on: false },
    { name: 'night', on: true },
  ]);
});

test('when one of several names is wrong, none is set', async () => {
  const { engine } = await storeBench(usual, compile);
  await assert.rejects(engine.conditions.set(states('+maintenance +nigth'), source), (error: PosternError) => {
    assert.ok(error instanceof PosternError);
    assert.equal(error.code, 'not-found');
    assert.match(error.message, /there is no condition nigth; the policy has: maintenance, night/);
    return true;
  });
  assert.deepEqual((await engine.conditions.list())[0], { name: 'maintenance', on: false });
});

test('what others do to the sets is put right', async () => {
  const { engine, kernel, clock } = await storeBench(usual, compile);
  await engine.conditions.set(states('+maintenance'), source);
  kernel.flushRuleset();
  await clock.pass(1_000);
  assert.deepEqual((await engine.conditions.list())[0], { name: 'maintenance', on: true });
});

test('the API lists, shows and sets conditions, and says who did it', async () => {
  const bed = await apiBench();
  bed.text = usual;
  await bed.engine.policy.apply();
  const told: unknown[] = [];
  bed.engine.events.on('condition', ({ condition, on, source: { kind } }) => told.push([condition, on, kind]));
  assert.deepEqual((await bed.ask('PATCH', '/v1/conditions', { maintenance: true, night: false })).body, {
    changed: ['maintenance', 'night'],
  });
  assert.deepEqual((await bed.ask('PUT', '/v1/conditions/night', { on: false })).body, { changed: [] });
  assert.deepEqual((await bed.ask('GET', '/v1/conditions/night')).body, { name: 'night', on: false });
  assert.equal((await bed.ask('GET', '/v1/conditions/day')).status, 404);
  assert.equal((await bed.ask('PUT', '/v1/conditions/night', { on: 'maybe' })).status, 400);
  assert.deepEqual(told, [
    ['maintenance', true, 'rest'],
    ['night', false, 'rest'],
  ]);
  const metrics = await bed.api.inject({ method: 'GET', url: '/metrics' });
  assert.match(metrics.body, /^postern_condition\{condition="maintenance"\} 1$/m);
  await bed.close();
});
