/** What can be kept of the lab without docker: its files fit together, and the firewall's policy is good. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { compileText, readPolicyFile } from '../../src/cli/policy-file.js';
import { withEntries } from '../../src/compiler/entries.js';
import { renderRuleset } from '../../src/nft/render.js';
import { namespace } from '../kernel/namespace.js';
import { root } from './images.js';
import { hosts } from './lab.js';
import { scenarios } from './scenarios/all.js';

const docker = join(root, 'docker');
const text = (path: string) => readFileSync(join(docker, path), 'utf8');

interface Service {
  readonly user?: string;
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: Readonly<Record<string, { ipv4_address: string; ipv6_address: string }>>;
}
interface Network {
  readonly ipam: {
    readonly config: readonly { readonly subnet: string; readonly aux_addresses: Readonly<Record<string, string>> }[];
  };
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, Network>>;
  readonly volumes: Readonly<Record<string, null>>;
}
const compose = parse(text('compose.yaml'), { merge: true }) as Compose;

test('compose has each host of the scenarios, where they look for it', () => {
  for (const [name, places] of Object.entries(hosts)) {
    if (name === 'firewall') continue;
    const [network] = Object.values(compose.services[name]?.networks ?? {});
    assert.equal(network?.ipv4_address, (places as { v4: string }).v4, name);
    if ('v6' in places) assert.equal(network?.ipv6_address, places.v6, name);
  }
});

test('the first address of each network is the gateway, and the firewall takes it', () => {
  const taken = text('lab/firewall.sh');
  for (const [name, { ipam }] of Object.entries(compose.networks)) {
    for (const { subnet, aux_addresses } of ipam.config) {
      const [prefix, length] = subnet.split('/') as [string, string];
      const first = prefix.includes(':') ? `${prefix}1` : prefix.replace(/0$/, '1');
      assert.deepEqual(Object.values(aux_addresses), [first], name);
      assert.match(taken, new RegExp(`interface ${name} .*\\b${first}/${length}`));
    }
  }
});

test('only the firewall may change its network, and nobody else is root but who sends raw packets and who makes keys', () => {
  for (const [name, { cap_add = [], cap_drop, user }] of Object.entries(compose.services)) {
    if (name === 'grafana') continue;
    assert.deepEqual(cap_drop, ['ALL'], name);
    const expected = { firewall: ['NET_ADMIN', 'NET_RAW'], attacker: ['NET_RAW'], keys: ['CHOWN'] }[name] ?? [];
    assert.deepEqual(cap_add, expected, name);
    assert.equal(user === 'root', expected.length > 0, name);
  }
});

test('what compose mounts is there', () => {
  for (const { volumes = [] } of Object.values(compose.services)) {
    for (const [source = ''] of volumes.map((volume) => volume.split(':'))) {
      assert.ok(source.startsWith('./') ? existsSync(join(docker, source)) : source in compose.volumes, source);
    }
  }
});

test('each scenario has a heading in docker/README.md', () => {
  const headings = [...text('README.md').matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    headings,
    scenarios.map(({ name }) => name),
  );
  assert.equal(new Set(headings).size, 7);
  const files = readdirSync(join(root, 'test/lab/scenarios')).map((file) => file.replace('.ts', ''));
  assert.deepEqual(
    files.filter((name) => !['all', 'scenario'].includes(name)).sort(),
    scenarios.map(({ name }) => name).sort(),
  );
});

test('the dashboard asks for metrics that there are', () => {
  const { panels } = JSON.parse(text('lab/grafana/dashboards/postern.json')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const asked = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/postern_\w+/g) ?? []));
  const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(root, 'src', file), 'utf8'))
    .join('');
  assert.ok(asked.length > 5);
  for (const metric of asked) assert.ok(source.includes(`'${metric}'`), metric);
});

test("the firewall's policy compiles without a warning, and its secrets are made", () => {
  const { plan, policy } = compileText(readPolicyFile(join(docker, 'lab/policy.yaml')));
  assert.deepEqual(plan.warnings, []);
  const keys = text('lab/keys.sh');
  const secrets = [...text('lab/policy.yaml').matchAll(/file: keys\/([\w.]+)/g)].map(([, name]) => name!);
  assert.ok(secrets.length >= 4);
  for (const secret of secrets) assert.match(keys, new RegExp(`firewall/${secret}|${secret} firewall`));
  assert.equal(policy.pftabled?.listen.port, 56_789);
});

test('the kernel takes the policy, and nft lists it', async (t) => {
  const space = await namespace(t);
  await space.run('ip', 'link', 'add', 'outside', 'type', 'veth', 'peer', 'name', 'elsewhere');
  const { plan } = compileText(readPolicyFile(join(docker, 'lab/policy.yaml')));
  await space.nft(renderRuleset(withEntries(plan)));
  const { stdout } = await space.run('nft', '-j', 'list', 'ruleset');
  assert.match(stdout, /"t_scanners_h4"/);
});
