/** Pages, table and command say what the extensions say of themselves. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { originals } from '../../src/extensions/originals.js';
import { handMark, pageHead, pageName, parityRows, parityTable } from '../../src/extensions/parity-text.js';
import { extensions } from '../../src/extensions/registry.js';
import { captured } from '../cli/capture.js';
import { assertGolden } from '../golden.js';

const root = join(import.meta.dirname, '../../..');
const folder = join(root, 'kmod-notes');

for (const extension of extensions) {
  test(`kmod-notes/${pageName(extension.name)} begins with what ${extension.name} says of itself`, () => {
    const path = join(folder, pageName(extension.name));
    const written = existsSync(path) ? (readFileSync(path, 'utf8').split(handMark)[1] ?? '\n') : '\n';
    assertGolden(path, pageHead(extension).trimEnd() + written);
  });
}

test('every page belongs to an extension', () => {
  // The threats to a protocol of our own stand beside the extension that speaks it.
  const known = [...extensions.map(({ name }) => pageName(name)), 'spa2.md'];
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.md') && !known.includes(name)),
    [],
  );
});

test("the README's table is that of the extensions", () => {
  const path = join(root, 'README.md');
  const readme = readFileSync(path, 'utf8');
  const made = readme.replace(
    /(<!-- parity:begin -->\n)[\s\S]*(<!-- parity:end -->)/,
    (_, begin: string, end: string) => `${begin}${parityTable(parityRows())}${end}`,
  );
  assert.ok(made.includes('| [TARPIT](kmod-notes/tarpit.md) |'));
  assertGolden(path, made);
});

test('the command prints every extension of xtables-addons, and one alone', async () => {
  const all = captured();
  assert.equal(await run(['parity'], all.io, commands), 0);
  for (const { name } of originals) assert.match(all.seen.out, new RegExp(`^${name} `, 'm'));
  const one = captured();
  await run(['parity', '--json', 'tarpit'], one.io, commands);
  const [row, ...more] = JSON.parse(one.seen.out) as { name: string; standing: string; runs: string }[];
  assert.deepEqual([row?.name, row?.standing, row?.runs, more.length], ['TARPIT', 'differs', 'kernel and daemon', 0]);
  const none = captured();
  assert.notEqual(await run(['parity', 'tarpitt'], none.io, commands), 0);
  assert.match(none.seen.err, /did you mean "TARPIT"/);
});
