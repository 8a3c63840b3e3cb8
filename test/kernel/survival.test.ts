/** Nobody is locked out: what passes now and would not then stops the apply, with the rule. Needs root. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { link, namespace, until } from './namespace.js';

const main = new URL('../../src/cli/postern.cjs', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'postern-survival-'));
after(async () => rmSync(folder, { recursive: true }));

const [outside, firewall] = [await namespace({ after }), await namespace({ after })];
await link([outside, 'peer0', '198.51.100.2/24'], [firewall, 'wan', '198.51.100.1/24']);
// One process each: what a server forks would outlive it and hold its streams open.
const echo = "for (const port of [22, 8080]) require('net').createServer((s) => s.pipe(s)).listen(port, '0.0.0.0')";
firewall.start(process.execPath, ['-e', echo], { stdio: 'ignore' });
const listens = async (port: number): Promise<boolean> =>
  (await firewall.run('ss', '-Hltn', `sport = :${port}`)).stdout !== '';
await until('the servers listen', async () => (await listens(22)) && (await listens(8080)));

const open = `
chains:
  input:
    policy: drop
    rules:
      - { state: [established, related], do: accept }
      - { tcp: [22, 8080], do: accept }
`;

function apply(policy: string, ...more: string[]) {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, policy);
  const args = [main, 'apply', file, '--netns', firewall.name, '--state', join(folder, 'state'), ...more];
  return execa(process.execPath, args, { reject: false, timeout: 60_000 });
}

test('with tracking on and nobody connected, any policy goes', async () => {
  const { exitCode, stderr } = await apply(open);
  assert.equal(exitCode, 0, stderr);
});

const connected = async (): Promise<number> =>
  (await firewall.run('ss', '-Htn', 'state', 'established')).stdout.split('\n').filter((line) => line !== '').length;

test('an operator and another client connect', async () => {
  const both = "for (const port of [22, 8080]) require('net').connect(port, '198.51.100.1').write('x')";
  outside.start(process.execPath, ['-e', both], { stdio: 'ignore' });
  await until('the clients are connected', async () => (await connected()) >= 2);
});

test('a policy that keeps them is applied', async () => {
  const { exitCode, stderr } = await apply(open.replace('[22, 8080]', '[22, 8080, 443]'));
  assert.equal(exitCode, 0, stderr);
});

test('a reconnect of the operator must pass, too: the rule is named, nothing is changed', async () => {
  const before = await firewall.list();
  const { exitCode, stderr } = await apply(open.replace('{ tcp: [22, 8080], do: accept }', '{ tcp: 22, do: drop }'));
  assert.equal(exitCode, 4, stderr);
  assert.match(
    stderr,
    /ssh\/198\.51\.100\.2: a packet to open it would be stopped by policy\.yaml:7 \{ tcp: 22, do: drop \}/,
  );
  assert.match(stderr, /--force ssh\/198\.51\.100\.2/);
  assert.equal(
    (await firewall.list()).replaceAll(/packets \d+ bytes \d+/g, ''),
    before.replaceAll(/packets \d+ bytes \d+/g, ''),
  );
});

test('who types the name of the flow has his way', async () => {
  const closed = open.replace('{ tcp: [22, 8080], do: accept }', '{ tcp: 22, do: drop }');
  const { exitCode, stderr } = await apply(closed, '--force', 'ssh/198.51.100.2');
  assert.equal(exitCode, 0, stderr);
});

test('connections that are not tracked yet are seen to be cut by the first policy that tracks', async () => {
  await firewall.run('nft', 'flush', 'ruleset');
  await firewall.run('conntrack', '-F');
  rmSync(join(folder, 'state'), { recursive: true });
  const { exitCode, stderr } = await apply(open);
  assert.equal(exitCode, 4, stderr);
  assert.match(
    stderr,
    /http-alt\/198\.51\.100\.2: a packet from the peer, without its conntrack entry, would be stopped/,
  );
});

test('a flow that the policy says must survive is held against the policy itself', async () => {
  await apply(open, '--force', 'ssh/198.51.100.2', '--force', 'http-alt/198.51.100.2');
  const promise = 'interfaces: { wan: wan }\nmust_survive: { web: tcp wan 198.51.100.9 > 198.51.100.1:8080 }\n';
  const names = ['--force', 'ssh/198.51.100.2', '--force', 'http-alt/198.51.100.2'];
  const { exitCode, stderr } = await apply(`${promise}${open.replace('[22, 8080]', '22')}`, ...names);
  assert.equal(exitCode, 4, stderr);
  assert.match(stderr, /web: a packet to open it would be stopped by the policy of chain input/);
});
