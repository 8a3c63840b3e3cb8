/** The example policies keep the promises that their test files write down. Needs root. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { compileText, readPolicyFile } from '../../src/cli/policy-file.js';
import { openScratch } from '../../src/kernel/open-scratch.js';
import { readTests } from '../../src/oracle/policytest/read.js';
import { runTests } from '../../src/oracle/policytest/run.js';
import { Trial } from '../../src/oracle/trial.js';

const folder = new URL('../../../rules/', import.meta.url).pathname;
const names = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
const policies = names.filter((name) => !/\.test\.ya?ml$/.test(name));
const trial = new Trial(await openScratch());
after(() => trial.dispose());

test('every example policy has tests', () => {
  assert.ok(policies.length > 0);
  const missing = policies.filter((name) => !names.includes(name.replace(/\.yaml$/, '.test.yaml')));
  assert.deepEqual(missing, []);
});

for (const name of names.filter((one) => /\.test\.ya?ml$/.test(one))) {
  test(`${name}: the policy does what its tests say`, async () => {
    const path = `${folder}${name}`;
    const { file, diagnostics } = readTests(readFileSync(path, 'utf8'), path);
    assert.ok(file, JSON.stringify(diagnostics[0]));
    const { policy, plan } = compileText(readPolicyFile(path.replace('.test.', '.')));
    const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const results = await runTests(file, { trial, policy, plan, wait, steady: () => performance.now() });
    assert.ok(results.length > 0);
    const failures = results.flatMap((result) => result.failures.map(({ at, message }) => `${at.line}: ${message}`));
    assert.deepEqual(failures, []);
    assert.deepEqual(
      results.filter(({ result }) => result === 'skipped').map(({ reason }) => reason),
      [],
    );
  });
}
