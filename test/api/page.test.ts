import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { apiBench } from './fixture.js';

suite('the web page', async () => {
  const token = { digest: createHash('sha256').update('x'.repeat(32)).digest() };
  const bed = await apiBench({ guard: { token } });
  after(() => bed.close());
  const get = (url: string) => bed.api.inject({ url, remoteAddress: '192.0.2.1' });

  for (const [url, type] of [
    ['/', 'text/html; charset=utf-8'],
    ['/page.js', 'text/javascript; charset=utf-8'],
    ['/page.css', 'text/css; charset=utf-8'],
  ] as const) {
    test(`serves ${url} to anyone, under a policy that allows nothing from elsewhere and nothing inline`, async () => {
      const { statusCode, headers, body } = await get(url);
      assert.deepEqual([statusCode, headers['content-type']], [200, type]);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /^default-src 'none'; /);
      assert.doesNotMatch(policy, /unsafe|\*|http/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.doesNotMatch(body, /https?:\/\//, 'loads nothing from elsewhere');
    });
  }

  test('works under that policy: no script, style or handler in the text, no markup made from data', async () => {
    const page = (await get('/')).body;
    assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
    assert.doesNotMatch(
      (await get('/page.js')).body,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(/,
    );
  });

  test('finds every element that its script asks for', async () => {
    const page = (await get('/')).body;
    const script = (await get('/page.js')).body;
    const ids = new Set([...script.matchAll(/\bat\('([^']+)'\)/g)].map(([, id]) => id!));
    assert.ok(ids.size > 8);
    for (const id of ids) assert.ok(page.includes(`id="${id}"`), id);
  });
});
