/** `postern quota …`: amounts of bytes or packets that rules use up. */

import { PosternError } from '../errors.js';
import { formatSize, parseSize } from '../net/size.js';
import { daemonOf, daemonOptions } from './client.js';
import { type Call, type CommandGroup, command } from './command.js';
import { aligned, jsonLine } from './text.js';

interface Row {
  readonly name: string;
  readonly unit: 'bytes' | 'packets';
  readonly value: number;
  readonly initial: number;
}

const options = { json: { type: 'boolean', help: 'print as JSON' }, ...daemonOptions } as const;
type QuotaCall = Call<typeof options>;

const sizes = 'AMOUNT is a number, or for bytes a size as 500MB or 10GiB.';

const list = command({
  summary: 'list all quotas and what they hold',
  options,
  async run(call) {
    const { quotas } = await daemonOf(call).ask<{ quotas: Row[] }>('GET', '/v1/quotas');
    if (call.values.json === true) await call.io.out(jsonLine(quotas));
    else {
      const rows = quotas.map(({ name, unit, value, initial }) => [name, unit, String(value), written(unit, initial)]);
      await call.io.out(aligned([['QUOTA', 'UNIT', 'VALUE', 'INITIAL'], ...rows], new Set([2, 3])));
    }
    return 0;
  },
});

const written = (unit: Row['unit'], amount: number): string => (unit === 'bytes' ? formatSize(amount) : String(amount));

const show = command({
  summary: 'print what a quota holds, as a number',
  args: 'NAME',
  options,
  run: (call) => answer(call, 'GET', ''),
});

const set = command({
  summary: 'say what a quota holds',
  args: 'NAME AMOUNT',
  about: sizes,
  options,
  run: (call) => answer(call, 'PUT', '', amountOf(call, 'value')),
});

const add = command({
  summary: 'add to what a quota holds',
  args: 'NAME AMOUNT',
  about: sizes,
  options,
  run: (call) => answer(call, 'POST', '/add', amountOf(call, 'amount')),
});

const sub = command({
  summary: 'take from what a quota holds, down to nothing',
  args: 'NAME AMOUNT',
  about: sizes,
  options,
  run: (call) => answer(call, 'POST', '/subtract', amountOf(call, 'amount')),
});

const reset = command({
  summary: 'give a quota what the policy says',
  args: 'NAME',
  options,
  run: (call) => answer(call, 'POST', '/reset'),
});

/** What to send: a size says by its unit that it is of bytes. @throws PosternError `usage`. */
function amountOf({ args }: QuotaCall, key: 'value' | 'amount'): object {
  const [, text = ''] = args;
  try {
    return { [key]: parseSize(text), ...(/[A-Za-z]$/.test(text) && { unit: 'bytes' }) };
  } catch (cause) {
    throw new PosternError('usage', `${(cause as Error).message}`, { cause });
  }
}

async function answer(call: QuotaCall, method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<number> {
  const [name = ''] = call.args;
  const row = await daemonOf(call).ask<Row>(method, `/v1/quotas/${encodeURIComponent(name)}${path}`, body);
  await call.io.out(call.values.json === true ? jsonLine(row) : `${row.value}\n`);
  return 0;
}

export const quota: CommandGroup = {
  summary: 'look at and change quotas',
  commands: { list, show, set, add, sub, reset },
};
