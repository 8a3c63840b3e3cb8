/** Conditions against the recorded module: what was written, and which rules took the next packet. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ruleBed } from '../kernel/rule-bed.js';
import { udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';

interface Golden {
  readonly events: readonly {
    readonly write: string | null;
    readonly read: string;
    readonly 'hits[condition, ! condition]': readonly number[];
  }[];
  readonly usage: readonly { readonly cmd: string; readonly rc: number }[];
}

const golden = loadGolden<Golden>('condition');
const source = { kind: 'cli', id: 'test' } as const;

const policy = (name: string) => `
version: 1
hygiene: off
conditions: { ${name}: off }
chains:
  input:
    policy: drop
    rules:
      - { condition: ${name}, do: count }
      - { condition: not ${name}, do: count }
`;

/** The file takes the first character, and ignores what is neither 0 nor 1; here that never becomes a request. */
const written = (text: string): boolean | undefined => (text[0] === '1' ? true : text[0] === '0' ? false : undefined);

test('rules see a condition as the recorded module showed it, in both families', async (t) => {
  const bed = await ruleBed({ after }, policy('flag'));
  const { conditions } = bed.bench.engine;
  let ignored = 0;
  for (const { write, read, 'hits[condition, ! condition]': hits } of golden.events) {
    const state = write === null ? undefined : written(write);
    if (state !== undefined) await conditions.set(new Map([['flag', state]]), source);
    else if (write !== null) ignored++;
    assert.deepEqual(await conditions.list(), [{ name: 'flag', on: read === '1\n' }], JSON.stringify(write));
    for (const [from, to] of [
      ['127.0.0.2', '127.0.0.1'],
      ['::1', '::1'],
    ] as const) {
      assert.deepEqual(await bed.send(udp(from, to, 9)), hits, `${JSON.stringify(write)} ${from}`);
    }
  }
  t.diagnostic(
    `compared ${golden.events.length}, of which ${ignored} wrote what is no state: a request must say on or off`,
  );
  assert.ok(golden.events.length > 0);
});

/** What the module made of names, by the name in the command. */
const differences: Readonly<Record<string, (name: string) => boolean>> = {
  'names begin with a letter or "_" and have no blanks': (name) => !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name),
  'names have up to 31 characters, one more than the original': (name) => name.length === 31,
};

test('names that the recorded module took are taken', async (t) => {
  const { compiled } = await import('../kernel/scratch-world.js');
  let compared = 0;
  for (const { cmd, rc } of golden.usage) {
    const [, quoted, plain] = /--condition (?:"([^"]*)"|(\S+))$/.exec(cmd) ?? [];
    const name = quoted ?? plain;
    if (name === undefined || cmd.split('--condition').length > 2) continue;
    const reason = Object.entries(differences).find(([, differs]) => differs(name))?.[0];
    if (reason !== undefined) {
      t.diagnostic(`differs on purpose: ${JSON.stringify(name)}: ${reason}`);
      continue;
    }
    if (rc === 0) compiled(policy(name));
    else assert.throws(() => compiled(policy(name)), cmd);
    compared++;
  }
  t.diagnostic(`compared ${compared} names`);
  assert.ok(compared > 0);
});
