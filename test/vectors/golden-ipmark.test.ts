/** IPMARK against the marks that the recorded module gave. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { scratchWorld, udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { strangerAddress } from './golden-host.js';
import { replayUsage, takes, type UsageRow } from './usage.js';

interface Row {
  /** `--addr src --and-mask 0xff`. */
  readonly options: string;
  readonly family: 4 | 6;
  readonly src: string;
  readonly dst: string;
  readonly mark_before: string | null;
  readonly rc: number;
  readonly mark: string | null;
}

const { rows } = loadGolden<{ readonly rows: readonly Row[] }>('ipmark');
const world = await scratchWorld({ after });

const optionOf = ({ options }: Row, option: string): string | undefined =>
  new RegExp(`--${option} (\\S+)`).exec(options)?.[1];

/** What was recorded, by the row's own fields; a wanted difference has another mark. */
const differences = {
  'shifts beyond an IPv4 address': {
    reason: 'the original shifts a 32-bit number by 32 or more, which its processor takes modulo 32; nothing is left',
    applies: (row: Row) => row.family === 4 && Number(optionOf(row, 'shift') ?? 0) >= 32,
    mark: (row: Row) => Number(optionOf(row, 'or-mask') ?? 0),
  },
};

test('IPMARK gives the marks that the recorded module gave', async (t) => {
  const seen = new Map<string, number>();
  let compared = 0;
  for (const row of rows.filter(({ rc, mark }) => rc === 0 && mark !== null)) {
    const options = [
      `addr: ${optionOf(row, 'addr')}`,
      ...(optionOf(row, 'shift') === undefined ? [] : [`shift: ${optionOf(row, 'shift')}`]),
      ...(optionOf(row, 'and-mask') === undefined ? [] : [`and_mask: ${optionOf(row, 'and-mask')}`]),
      ...(optionOf(row, 'or-mask') === undefined ? [] : [`or_mask: ${optionOf(row, 'or-mask')}`]),
    ];
    const before = row.mark_before === null ? [] : [`      - { udp: any, do: mark ${row.mark_before} }`];
    const rules = [...before, `      - { udp: any, do: { ipmark: { ${options.join(', ')} } } }`];
    await world.policy(`version: 1\nchains:\n  prerouting:\n    rules:\n${rules.join('\n')}\n`);
    const own = row.family === 4 ? /^10\.0\.0\.1$/ : /^fd00:(0:)?:1$/;
    const destination = own.test(row.dst) ? row.dst : strangerAddress[row.family];
    const { mark = 0 } = await world.send('wan', udp(row.src, destination.replace('fd00:0::1', 'fd00::1'), 999));
    const [name, difference] = Object.entries(differences).find(([, one]) => one.applies(row)) ?? [];
    if (name !== undefined) seen.set(name, (seen.get(name) ?? 0) + 1);
    const wanted = difference?.mark(row) ?? Number(row.mark);
    assert.equal(mark, wanted >>> 0, `${row.options} ${row.src} > ${row.dst}`);
    compared++;
  }
  assert.ok(compared > 0);
  t.diagnostic(
    `compared ${compared}, differs on purpose ${[...seen].map(([name, count]) => `${name}: ${count}`).join()}`,
  );
  for (const name of seen.keys()) t.diagnostic(`${name}: ${differences[name as keyof typeof differences].reason}`);
});

const usageDifferences = {
  tables: takes('a mark is set where the rule stands; there is no table to be in', ({ table }) => table !== 'mangle'),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, loadGolden<{ readonly usage: readonly UsageRow[] }>('ipmark').usage, usageDifferences);
});
