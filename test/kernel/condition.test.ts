/** Conditions by packets through the real kernel, set and reloaded at random, against a plain map. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openNf } from '../../src/kernel/nf.js';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { openStore } from '../../src/store/open.js';
import { ruleBed } from './rule-bed.js';
import { udp } from './scratch-world.js';

const names = ['a', 'b', 'c'] as const;
const source = { kind: 'cli', id: 'test' } as const;
const policy = `
version: 1
hygiene: off
conditions: { a: on, b: off, c: off }
chains:
  input:
    policy: drop
    rules:
${names.map((name) => `      - { condition: ${name}, do: count }\n      - { condition: not ${name}, do: count }`).join('\n')}
`;

const someStates = fc.dictionary(fc.constantFrom(...names), fc.boolean(), { minKeys: 1 });
const steps = fc.array(
  fc.oneof({ weight: 6, arbitrary: someStates }, fc.constant('reload' as const), fc.constant('restart' as const)),
  { minLength: 20, maxLength: 20 },
);

test('packets see all of what is set at once, and after each reload and restart', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const store = await openStore({ disk: memoryDisk(), node: 'fw1' });
  const bed = await ruleBed(t, policy, { store });
  t.after(() => store.close());
  const exchange = netfilterExchange(bed.space.name);
  t.after(() => exchange.close());
  const nf = openNf(exchange, { destroy: true, updateTimeout: true, resetElements: true });
  const model = new Map<string, boolean>([
    ['a', true],
    ['b', false],
    ['c', false],
  ]);
  for (const [index, step] of (fc.sample(steps, { seed, numRuns: 1 })[0] ?? []).entries()) {
    const label = `seed ${seed}, step ${index}: ${JSON.stringify(step)}`;
    if (step === 'reload') await bed.policy(policy.replace(/^version/m, `# ${index}\nversion`));
    else if (step === 'restart') await bed.bench.restart();
    else {
      const before = await nf.generation();
      const changed = await bed.bench.engine.conditions.set(new Map(Object.entries(step)), source);
      const transactions = (await nf.generation()).id - before.id;
      assert.ok(transactions <= 1 && (transactions === 1 || changed.length === 0), `${label}: ${transactions}`);
      for (const [name, on] of Object.entries(step)) model.set(name, on);
    }
    const wanted = names.flatMap((name) => [Number(model.get(name)), Number(!model.get(name))]);
    assert.deepEqual(await bed.send(udp('127.0.0.2', '127.0.0.1', 9)), wanted, label);
    assert.deepEqual(await bed.send(udp('::1', '::1', 9)), wanted, label);
  }
});
