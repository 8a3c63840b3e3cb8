/** `postern condition …`: the switches of the policy. */

import { PosternError } from '../errors.js';
import { daemonOf, daemonOptions } from './client.js';
import { type CommandGroup, command } from './command.js';
import { aligned, jsonLine } from './text.js';

interface Row {
  readonly name: string;
  readonly on: boolean;
}

const json = { type: 'boolean', help: 'print as JSON' } as const;
const stateOf = ({ on }: Row): string => (on ? 'on' : 'off');

const list = command({
  summary: 'list all conditions and how they stand',
  options: { json, ...daemonOptions },
  async run(call) {
    const { conditions } = await daemonOf(call).ask<{ conditions: Row[] }>('GET', '/v1/conditions');
    if (call.values.json === true) await call.io.out(jsonLine(conditions));
    else await call.io.out(aligned([['CONDITION', 'STATE'], ...conditions.map((row) => [row.name, stateOf(row)])]));
    return 0;
  },
});

const show = command({
  summary: 'print on or off',
  args: 'NAME',
  options: { json, ...daemonOptions },
  async run(call) {
    const [name = ''] = call.args;
    const row = await daemonOf(call).ask<Row>('GET', `/v1/conditions/${encodeURIComponent(name)}`);
    await call.io.out(call.values.json === true ? jsonLine(row) : `${stateOf(row)}\n`);
    return 0;
  },
});

const words: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['1', true],
  ['off', false],
  ['0', false],
]);

const set = command({
  summary: 'set conditions: on or off, several in one transaction',
  args: 'NAME STATE...',
  about: `STATE is on or off; more pairs of a name and a state may follow, and no packet sees one of them set without
the others. It stays so over reloads, restarts and boots, until the condition leaves the policy.`,
  options: { ...daemonOptions },
  examples: [
    { command: 'postern condition set maintenance on', what: 'set one' },
    { command: 'postern condition set day off night on', what: 'set two at once' },
  ],
  async run(call) {
    const states = pairs(call.args);
    const { changed } = await daemonOf(call).ask<{ changed: string[] }>('PATCH', '/v1/conditions', states);
    for (const [name, on] of Object.entries(states)) {
      await call.io.out(`${name} ${changed.includes(name) ? 'is now' : 'was'} ${on ? 'on' : 'off'}\n`);
    }
    return 0;
  },
});

/** @throws PosternError `usage` for an odd number of words, a state that is none, or a condition that comes twice. */
function pairs(args: readonly string[]): Record<string, boolean> {
  const states: Record<string, boolean> = {};
  for (let at = 0; at < args.length; at += 2) {
    const [name = '', word] = args.slice(at, at + 2);
    const on = word === undefined ? undefined : words.get(word);
    if (on === undefined) {
      const what = word === undefined ? `condition ${name} has no state` : `'${word}' is no state`;
      throw new PosternError('usage', `${what}; write on or off behind each name`);
    }
    if (Object.hasOwn(states, name)) throw new PosternError('usage', `condition ${name} is set twice; write it once`);
    states[name] = on;
  }
  return states;
}

export const condition: CommandGroup = {
  summary: 'look at and flip the switches of the policy',
  commands: { list, show, set },
};
