/** Reloads while packets flow: none lost, none counted twice, whatever changes beside them. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Plan } from '../../src/compiler/plan.js';
import { openKernel } from '../../src/kernel/open.js';
import * as b from '../../src/nft/build.js';
import type { Chain, NftSet } from '../../src/nft/model.js';
import { link, namespace, until } from './namespace.js';
import { planOf } from './plan.js';
import { steadyBytes, steadyTraffic } from './steady-traffic.js';

const RELOADS = 50;

const [outside, firewall] = [await namespace({ after }), await namespace({ after })];
await link(
  [outside, 'wan', '198.51.100.2/24', '2001:db8:1::2/64'],
  [firewall, 'wan', '198.51.100.1/24', '2001:db8:1::1/64'],
);
const kernel = await openKernel({ netns: firewall.name });
after(() => kernel.close());

/** Counts every datagram to port 9 by a named counter, in a set and against a quota; `variant` changes all around. */
function plan(variant: number): Plan {
  const account = (name: string, type: string): NftSet => ({
    name,
    key: { type: [type] },
    flags: ['dynamic'],
    size: 64,
    counter: true,
  });
  const side: Chain = { name: `side_${variant}`, rules: [b.rule(b.match(b.tcp('dport'), 1000 + variant), b.drop)] };
  return planOf({
    tables: [
      {
        family: 'inet',
        name: 'postern',
        objects: [
          { kind: 'counter', name: 'c_all' },
          { kind: 'quota', name: 'q_all', bytes: 2 ** 40 + variant },
          { kind: 'counter', name: `c_${variant}` },
        ],
        sets: [
          account('a4_all', 'ipv4_addr'),
          account('a6_all', 'ipv6_addr'),
          { name: `x_${variant}`, key: { type: ['inet_service'] }, flags: [], elements: [{ value: variant + 1 }] },
        ],
        chains: [
          {
            name: 'in',
            base: { type: 'filter', hook: 'input', priority: 0, policy: variant % 2 === 0 ? 'accept' : 'drop' },
            rules: [
              b.rule(b.jump(side.name)),
              b.rule(b.match(b.udp('dport'), 9), b.jump('seen')),
              b.rule(b.match(b.tcp('dport'), b.setRef(`x_${variant}`)), b.counter(`c_${variant}`)),
              b.rule(b.accept),
            ],
          },
          {
            name: 'seen',
            rules: [
              b.rule(b.counter('c_all')),
              b.rule(b.quota('q_all')),
              b.rule(b.update('a4_all', b.ip('saddr'))),
              b.rule(b.update('a6_all', b.ip6('saddr'))),
              b.rule(b.drop),
            ],
          },
          side,
        ],
      },
    ],
  });
}

test(`${RELOADS} reloads under traffic lose no packet and count none twice`, async () => {
  await kernel.load(plan(0), undefined);
  const traffic = await steadyTraffic(outside, '198.51.100.1', '2001:db8:1::1');
  const counted = async (): Promise<bigint> => (await kernel.object(0)).packets ?? 0n;
  await until('the first packets', async () => (await counted()) > 0n);

  for (let variant = 1; variant <= RELOADS; variant++) {
    const before = await counted();
    await kernel.load(plan(variant), plan(variant - 1).manifest);
    await until('packets beside the reload', async () => (await counted()) > before);
  }
  const sent = await traffic.stop();
  await until('all packets', async () => (await counted()) >= 2n * sent);
  assert.equal(await counted(), 2n * sent);
  const inSets = [...(await kernel.dump(0)), ...(await kernel.dump(1))];
  assert.deepEqual(
    inSets.map(({ packets }) => packets),
    [sent, sent],
  );
  const bytes = BigInt(steadyBytes + 8 + 20 + (steadyBytes + 8 + 40));
  assert.equal((await kernel.object(1)).usedBytes, sent * bytes);
  const present = await kernel.present();
  const left = ['a4_all', 'a6_all', `x_${RELOADS}`].map((name) => `inet postern ${name}`);
  assert.deepEqual([...present.sets.keys()].sort(), left);
});
