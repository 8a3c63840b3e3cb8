/** A large table that is replaced, as packets and bans see it meanwhile. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '../../src/net/prefix.js';
import { entry, source } from '../engine/fixture.js';
import { liveBench } from './engine-fixture.js';
import { probedNetworks, probeGaps } from './gap-probe.js';
import { namespace, until } from './namespace.js';

/** Of one set, and of several. */
const sizes = [20_000, 200_000];
const policy = (size: number) => `
version: 1
tables:
  feed: { size: ${size} }
  ban: { timeout: 1h }
chains:
  output:
    rules:
      - { to: [<feed>, <ban>], do: drop }
`;

/** Networks of 10.0.0.0/8 of which two lists share none, and all of the probed ones, cut otherwise in each. */
function list(which: number): { prefix: ReturnType<typeof parsePrefix> }[] {
  const others = Array.from({ length: 8_000 }, (_, n) => {
    const network = n * 8 + which;
    return `10.${network >> 8}.${network & 255}.0/24`;
  });
  return [...others, ...probedNetworks(24 - which)].map((text) => ({ prefix: parsePrefix(text) }));
}

for (const size of sizes)
  test(`while a table of size ${size} is replaced no packet finds it without its old or its new contents, and bans get through`, async (t) => {
    const space = await namespace(t);
    const { engine } = await liveBench(t, space, policy(size));
    await engine.tables.replace('feed', list(0), source);
    const probe = await probeGaps(space);
    let bans = 0;
    for (const which of [1, 2, 0]) {
      let replacing = true;
      const replaced = engine.tables.replace('feed', list(which), source).finally(() => {
        replacing = false;
      });
      for (; replacing; bans++) {
        await engine.tables.add('ban', [entry(`198.18.${bans >> 8}.${bans & 255}`)], source);
        await engine.tables.add('feed', [entry(`198.18.${bans >> 8}.${bans & 255}`)], source);
      }
      const { deleted } = await replaced;
      assert.ok(deleted >= 8_000, `${deleted} deleted`);
    }
    const [tried, passed] = [probe.tried(), probe.passed()];
    assert.ok(tried > 1_000 && bans > 10, `${tried} packets, ${bans} bans`);
    assert.equal(passed, 0, `${passed} of ${tried} packets have met a gap`);
    const [feed] = (await engine.tables.list()).filter(({ name }) => name === 'feed');
    assert.equal(feed?.prefixes, list(0).length);
    await engine.tables.flush('feed', source);
    await until('packets pass when the table is empty', () => probe.passed() > 0, 10_000);
    await probe.stop();
  });
