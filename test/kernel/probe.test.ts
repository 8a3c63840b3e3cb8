import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { PosternError } from '../../src/errors.js';
import { rulesetFeatures } from '../../src/kernel/features.js';
import { type Nft, openNft } from '../../src/kernel/nft.js';
import { assertRequired, assertUsable, doctorText, probe } from '../../src/kernel/probe.js';
import { captured } from '../cli/capture.js';
import { namespace } from './namespace.js';

const netlink = { destroy: true, updateTimeout: false, resetElements: true, filterStates: true };

function nftThat(check: Nft['check']): Nft {
  const never = () => assert.fail('the probe changes nothing');
  return { load: never, show: never, copy: never, list: never, check, version: async () => '0.9.3' };
}

test('the probe tries everything on this kernel and changes nothing', async (t) => {
  const space = await namespace(t);
  const found = await probe({ nft: openNft({ netns: space.name }), namespace: space.name });
  assert.equal(await space.list(), '');
  assertUsable(found);
  assert.match(found.nftVersion, /^\d+\.\d+/);
  const missing = found.findings.filter(({ present }) => !present);
  for (const { lack, since } of missing) assert.ok(lack && since);
  if (found.nftVersion === '1.0.6' && /^6\.18/.test(found.kernelRelease)) {
    assert.deepEqual(
      missing.map(({ id }) => id).filter((id) => id !== 'sysrq'),
      ['destroy', 'last'],
      missing.map(({ reason }) => reason).join('\n'),
    );
  }
});

test('every feature has an id of its own, and a text', () => {
  assert.equal(new Set(rulesetFeatures.map(({ id }) => id)).size, rulesetFeatures.length);
  for (const { text } of rulesetFeatures) assert.match(text.join('\n'), /postern_probe/);
});

test('a lack is told with what it means, and does not hide the rest', async () => {
  const found = await probe({
    nft: nftThat(async (lines) => {
      if (lines.some(({ text }) => text.includes('@ih'))) throw new PosternError('kernel', 'syntax error');
    }),
    netlink,
  });
  assertUsable(found);
  assert.equal(found.features.has('inner-payload'), false);
  assert.equal(found.features.has('numgen'), true);
  const text = doctorText(found);
  assert.match(
    text,
    /^Linux .*, nft 0\.9\.3\nmissing {2}matches on payload .*: ipp2p does not load \(since Linux 5\.16/,
  );
  assert.match(text, /missing {2}set the timeout of an element anew: renewing a ban resets its counter/);
  assert.match(text, /ok {7}random choice/);
});

test('without what is needed Postern refuses and says what is missing', async () => {
  const found = await probe({
    nft: nftThat(async () => {
      throw new PosternError('kernel', 'no');
    }),
    netlink,
  });
  assert.throws(() => assertUsable(found), {
    code: 'unsupported',
    message: /lacks what Postern needs: sets with timeouts .*; interval sets .*; upgrade it/,
  });
});

test('a daemon asks for what it can not run without, and for nothing else', async () => {
  const tried: string[] = [];
  const nft = nftThat(async (lines) => void tried.push(lines.map(({ text }) => text).join('\n')));
  await assertRequired(nft);
  assert.equal(tried.length, rulesetFeatures.filter(({ required }) => required).length);
  const without = nftThat(async (lines) => {
    if (lines.some(({ text }) => text.includes('interval'))) throw new PosternError('kernel', 'no');
  });
  await assert.rejects(assertRequired(without), { code: 'unsupported', message: /needs: interval sets/ });
});

test('postern doctor tells what it found, and fails only when Postern can not run', async () => {
  const { io, seen } = captured();
  assert.equal(await run(['doctor'], io, commands), 0);
  assert.match(seen.out, /^Linux \S+, nft \S+\n/);
  assert.match(seen.out, /^ok {7}interval sets with timeouts$/m);
  const json = captured();
  await run(['doctor', '--json'], json.io, commands);
  const { findings } = JSON.parse(json.seen.out) as { findings: { id: string; present: boolean }[] };
  assert.equal(typeof findings.find(({ id }) => id === 'destroy')?.present, 'boolean');
});

test('a feature on which nft crashes is a lack', async () => {
  const nft = nftThat(async (lines) => {
    if (lines.some(({ text }) => text.includes('numgen'))) {
      throw new PosternError('system', 'nft was ended by SIGABRT', { details: { signal: 'SIGABRT' } });
    }
  });
  assert.equal((await probe({ nft, netlink })).features.has('numgen'), false);
});

test('what is not about a feature is an error, not a lack', async () => {
  for (const code of ['system', 'forbidden', 'timeout'] as const) {
    const nft = nftThat(async () => {
      throw new PosternError(code, 'no');
    });
    await assert.rejects(probe({ nft, netlink }), { code });
  }
});
