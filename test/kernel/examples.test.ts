/** The policies that pages and README show are what `check` takes, and what they compile to is what the kernel takes. Needs root. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { compileText } from '../../src/cli/policy-file.js';
import { usualDatabase } from '../../src/extensions/geoip-names.js';
import { pageName } from '../../src/extensions/parity-text.js';
import { extensions } from '../../src/extensions/registry.js';
import { renderRuleset } from '../../src/nft/render.js';
import { readDbip } from '../../src/services/geoip/csv.js';
import { countryFiles, gatherCountries } from '../../src/services/geoip/database.js';
import { captured } from '../cli/capture.js';
import { namespace } from './namespace.js';

const root = join(import.meta.dirname, '../../..');
const pages = readdirSync(join(root, 'kmod-notes')).filter((name) => name.endsWith('.md'));
const folder = mkdtempSync(join(tmpdir(), 'postern-examples-'));
after(() => rmSync(folder, { recursive: true }));

/** The countries that examples name. */
const countries = gatherCountries(readDbip('192.0.2.0,192.0.2.255,XA\n2001:db8::,2001:db8::ff,XB\n', 'csv'));
for (const { name, content } of countryFiles(countries)) writeFileSync(join(folder, name), content);

/** Blocks of YAML; what leaves the version out is part of a policy. */
const examplesOf = (path: string): string[] =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, body = '']) =>
    (body.startsWith('version:') ? body : `version: 1\n${body}`).replace(usualDatabase, folder),
  );

test('every extension of the original shows a policy', () => {
  const silent = extensions
    .map(({ name }) => `kmod-notes/${pageName(name)}`)
    .filter((path) => examplesOf(path).length === 0);
  assert.deepEqual(silent, []);
});

/** Devices that examples name; each gets a peer of the kernel's choice. */
const devices = ['eth0', 'eth1', 'wan', 'lan'];

for (const path of ['README.md', ...pages.map((name) => `kmod-notes/${name}`)]) {
  const examples = examplesOf(path);
  if (examples.length === 0) continue;
  test(`the policies of ${path} are checked and loaded`, async (t) => {
    const space = await namespace(t);
    for (const device of devices) await space.run('ip', 'link', 'add', device, 'type', 'veth');
    for (const [index, text] of examples.entries()) {
      const file = join(folder, `example${index}.yaml`);
      writeFileSync(file, text);
      const { io, seen } = captured();
      const status = await run(['check', '--netns', space.name, file], io, commands);
      assert.equal(status, 0, `${text}\n${seen.out}${seen.err}`);
      await space.nft(renderRuleset(compileText({ file, text }).plan.ruleset));
      await space.nft('flush ruleset');
    }
  });
}
