/** geoip with a database on disk: the engine loads what the policy names, packets meet it. Needs root. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileText } from '../../src/cli/policy-file.js';
import type { EngineOptions } from '../../src/engine/engine-options.js';
import { type AddressRange, addressFromBytes, formatAddress } from '../../src/net/address.js';
import { parseRange } from '../../src/net/prefix.js';
import { countryFiles } from '../../src/services/geoip/source.js';
import { encodeGeoip } from '../../src/wire/geoip.js';
import { liveBench } from './engine-fixture.js';
import { link, type Namespace, namespace, type Scope, until } from './namespace.js';

/** As in the daemon. */
const ground: Partial<EngineOptions> = {
  countries: countryFiles,
  compile: async (source, previous) => compileText(source, previous),
};

/** A folder with country files. */
function database(t: Scope): { folder: string; write(country: string, ...ranges: string[]): void } {
  const folder = mkdtempSync(join(tmpdir(), 'postern-geoip-'));
  t.after(async () => rmSync(folder, { recursive: true }));
  return {
    folder,
    write(country, ...texts) {
      const ranges = texts.map((text): AddressRange => parseRange(text));
      for (const family of [4, 6] as const) {
        const own = ranges.filter((range) => range.family === family);
        writeFileSync(join(folder, `${country}.iv${family}`), encodeGeoip(own, family));
      }
    },
  };
}

const policy = (folder: string, rules: readonly string[]): string =>
  `version: 1\nhygiene: off\ngeoip: { database: ${folder} }\nchains:\n  input:\n    rules:\n${rules
    .map((rule, index) => `      - { name: r${index}, icmp: any, ${rule}, do: count }`)
    .join('\n')}\n`;

async function counts(firewall: Namespace): Promise<Record<string, number>> {
  const listed = await firewall.list('list', 'counters');
  return Object.fromEntries(
    [...listed.matchAll(/counter c_(r\d+) \{\s*packets (\d+)/g)].map(([, name, packets]) => [name, Number(packets)]),
  );
}

async function bed(
  t: Scope,
): Promise<{ client: Namespace; firewall: Namespace; takes(address: string): Promise<string> }> {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link(
    [client, 'out', '198.51.100.2/24', '2001:db8::2/64'],
    [firewall, 'wan', '198.51.100.1/24', '2001:db8::1/64'],
  );
  return {
    client,
    firewall,
    async takes(address) {
      const before = await counts(firewall);
      await client.run('ping', '-n', '-c1', '-W5', address);
      const now = await counts(firewall);
      return Object.keys(now)
        .filter((name) => now[name]! > before[name]!)
        .sort()
        .join(' ');
    },
  };
}

test('what a policy names is loaded with its rules, of both families, and again when the files change', async (t) => {
  const { firewall, takes } = await bed(t);
  const files = database(t);
  files.write('XA', '198.51.100.0/30', '2001:db8::/126');
  files.write('XB', '203.0.113.0/24', '2001:db8:b::/48');
  files.write('XC', '198.51.100.1');
  const text = policy(files.folder, [
    'geoip: { from: XA }',
    'geoip: { from: [XB, XC] }',
    'geoip: { from: not XA }',
    'geoip: { from: [not XB, not XC] }',
    'geoip: { from: XA, to: XC }',
    'geoip: { to: [XB, XC] }',
  ]);
  const live = await liveBench(t, firewall, text, ground);
  assert.equal(await takes('198.51.100.1'), 'r0 r3 r4 r5');
  assert.equal(await takes('2001:db8::1'), 'r0 r3');
  files.write('XA', '192.0.2.0/24');
  files.write('XB', '198.51.100.2', '2001:db8::2-2001:db8::3');
  await until('the new files to be loaded', async () => (await takes('198.51.100.1')) === 'r1 r2 r5');
  assert.equal(await takes('2001:db8::1'), 'r1 r2');
  // Files that are being replaced leave everything as it is.
  for (const family of [4, 6]) unlinkSync(join(files.folder, `XB.iv${family}`));
  await live.restart().then(
    () => assert.fail('a country without files was taken'),
    ({ message }: Error) => assert.match(message, /policy\.yaml:\d+:\d+: there is no country XB in /),
  );
  assert.equal(await takes('198.51.100.1'), 'r1 r2 r5');
  files.write('XB', '198.51.100.2');
});

test('a restart and hands in the sets leave them as the files say', async (t) => {
  const { firewall, takes } = await bed(t);
  const files = database(t);
  files.write('XA', '198.51.100.2');
  const live = await liveBench(t, firewall, policy(files.folder, ['geoip: { from: XA }']), ground);
  assert.equal(await takes('198.51.100.1'), 'r0');
  files.write('XA', '203.0.113.7');
  await live.restart();
  assert.equal(await takes('198.51.100.1'), '', 'files that changed while nobody was there');
  files.write('XA', '198.51.100.2');
  await until('the change', async () => (await takes('198.51.100.1')) === 'r0');
  await firewall.run('nft', 'flush', 'set', 'inet', 'postern', 'geo_XA_4');
  await until('the repair', async () => (await takes('198.51.100.1')) === 'r0');
});

test('a country that is not there is an error at its rule, and nothing is loaded', async (t) => {
  const { firewall } = await bed(t);
  const files = database(t);
  files.write('XA', '198.51.100.2');
  const live = await liveBench(t, firewall, policy(files.folder, ['geoip: { from: XA }']), ground);
  const before = await firewall.list();
  live.text = policy(files.folder, ['geoip: { from: XA }', 'geoip: { from: [XA, ZZ] }']);
  await assert.rejects(
    live.engine.policy.apply(),
    /policy\.yaml:8:\d+: there is no country ZZ in .*"postern geoip build"/,
  );
  assert.equal(await firewall.list(), before);
});

/** More than are looked into for each packet. */
const many = Array.from(
  { length: 30_000 },
  (_, index) => `${11 + (index >> 15)}.${(index >> 7) & 255}.${(index & 127) << 1}.0/25`,
);

test('thousands of ranges are there when the rules are', async (t) => {
  const { firewall, takes } = await bed(t);
  const files = database(t);
  files.write('XA', ...many, '198.51.100.2');
  const live = await liveBench(t, firewall, policy(files.folder, ['geoip: { from: XA }']), ground);
  assert.equal(await takes('198.51.100.1'), 'r0');
  const { sets } = live.engine.policy.current!.plan.manifest;
  const found = await live.kernel.dump(
    sets.findIndex(({ role }) => role.kind === 'countries' && role.family === 4 && role.known === undefined),
  );
  assert.equal(found.length, many.length + 1);
});

test('what was found in thousands of ranges is remembered, and forgotten when the files change', async (t) => {
  const { firewall, takes } = await bed(t);
  const files = database(t);
  files.write('XA', ...many.slice(0, 5_000), '198.51.100.2', '2001:db8::2');
  files.write('XB', '198.51.100.1');
  const rules = [
    '{ from: XA }',
    '{ from: not XA }',
    '{ from: XA, to: XB }',
    '{ from: [XA, not XB] }',
    '{ to: [XA, XB] }',
  ];
  const text = policy(
    files.folder,
    rules.map((rule) => `geoip: ${rule}`),
  );
  const live = await liveBench(t, firewall, text, ground);
  const { sets } = live.engine.policy.current!.plan.manifest;
  const remembered = async (known: string): Promise<string[]> => {
    const of = sets.findIndex(({ role }) => role.kind === 'countries' && role.known === known && role.family === 4);
    return (await live.kernel.dump(of)).map(({ key }) => formatAddress(addressFromBytes(key)));
  };
  // The second packet meets what the first has left.
  for (const time of ['first', 'second']) assert.equal(await takes('198.51.100.1'), 'r0 r2 r3 r4', time);
  assert.equal(await takes('2001:db8::1'), 'r0 r3', 'few ranges of the other family');
  assert.deepEqual(await remembered('inside'), ['198.51.100.2']);
  files.write('XA', ...many.slice(0, 5_000));
  for (const time of ['first', 'second']) {
    await until('the new files', async () => (await takes('198.51.100.1')) === 'r1 r4');
    assert.equal(await takes('198.51.100.1'), 'r1 r4', time);
  }
  assert.deepEqual(await remembered('outside'), ['198.51.100.2']);
  assert.deepEqual(await remembered('inside'), []);
});
