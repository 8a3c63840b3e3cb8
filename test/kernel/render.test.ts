import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openNft } from '../../src/kernel/nft.js';
import { presenceOf } from '../../src/nft/presence.js';
import { loadScript } from '../../src/nft/transaction.js';
import { statements, tableWith } from '../nft/constructs.js';
import { namespace } from './namespace.js';
import { planOf } from './plan.js';

const space = await namespace({ after });
const nft = openNft({ netns: space.name });

for (const construct of statements) {
  test(`nft and the kernel take, and list as it was loaded: ${construct.text}`, async () => {
    const plan = planOf({ tables: [tableWith(construct)] });
    const present = async () => presenceOf(await nft.list(), plan.manifest.tables);
    await nft.load(loadScript({ target: plan, previous: undefined, presence: await present() }));
    const again = loadScript({ target: plan, previous: plan.manifest, presence: await present() });
    assert.deepEqual(again, []);
  });
}
