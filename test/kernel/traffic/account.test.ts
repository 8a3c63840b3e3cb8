/** Accounts count real traffic: each packet once, for the addresses that it has. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { address, type Bed, bed } from './bed.js';

const families = [4, 6] as const;

describe('accounts', () => {
  let net: Bed;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    net = await bed({ after: (end) => ends.push(end) });
  });
  after(async () => {
    for (const end of ends) await end();
  });

  test('an account counts each address, both directions and families, and nothing twice', async () => {
    await net.load(`
accounts: { all: [192.0.2.0/24, 2001:db8:1::/64], v4: 0.0.0.0/0 }
chains:
  forward:
    rules:
      - { do: [account all, account v4] }
`);
    const count = ['-c', '7', '-i', '0.05'] as const;
    for (const family of families) {
      assert.equal(await net.inside.ping(address.outside[family], 100, ...count), 'ok');
      assert.equal(await net.inside.ping(address.outside[family], 100, ...count, '-I', address.second[family]), 'ok');
      const header = family === 4 ? 28 : 48;
      for (const direction of ['src', 'dst']) {
        const listing = await net.gate.space.list('list', 'set', 'inet', 'postern', `a_all_${direction}${family}`);
        for (const host of [address.inside[family], address.second[family]]) {
          assert.ok(listing.includes(`${host} counter packets 7 bytes ${7 * (100 + header)}`), listing);
        }
      }
    }
    const total = await net.gate.space.list('list', 'counter', 'inet', 'postern', 'a_v4_all4');
    assert.match(total, /packets 28 bytes 3584/);
  });

  test('an account that is full counts apart what finds no place', async () => {
    await net.load(`
accounts: { small: { networks: 192.0.2.0/24, size: 1 } }
chains:
  forward:
    rules:
      - { do: account small }
`);
    for (let sent = 0; sent < 3; sent += 1) {
      for (const from of [address.inside[4], address.second[4]]) {
        assert.equal(await net.inside.ping(address.outside[4], 8, '-I', from), 'ok');
      }
    }
    const list = await net.gate.space.list('list', 'table', 'inet', 'postern');
    assert.match(list, /set a_small_src4 \{[^}]*192\.0\.2\.10 counter packets 3/);
    assert.match(list, /counter o_a_small_src4 \{\s*packets 3 /);
  });
});
