import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { renderRuleset } from '../../src/nft/render.js';
import { statements, tableWith } from '../nft/constructs.js';
import { namespace } from './namespace.js';

const space = await namespace({ after });

for (const construct of statements) {
  test(`nft and the kernel take: ${construct.text}`, async () => {
    const input = renderRuleset({ tables: [tableWith(construct)] });
    const { exitCode, stderr } = await execa('nsenter', [`--net=/run/netns/${space.name}`, 'nft', '-c', '-f', '-'], {
      input,
      reject: false,
    });
    assert.equal(exitCode, 0, `${stderr}\n${input}`);
  });
}
