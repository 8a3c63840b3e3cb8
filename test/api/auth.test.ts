import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { bears, readToken } from '../../src/api/auth.js';
import { PosternError } from '../../src/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-token-'));
after(() => rmSync(folder, { recursive: true }));

const secret = 'c2VjcmV0IG9mIHRoZSB0ZXN0cw==';

function tokenFile(text: string, mode: number): string {
  const path = join(folder, `token-${mode.toString(8)}-${text.length}`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

suite('a token file', () => {
  for (const mode of [0o600, 0o640, 0o440, 0o400]) {
    test(`of mode ${mode.toString(8)} is taken`, () => {
      assert.ok(bears(readToken(tokenFile(`${secret}\n`, mode)), `Bearer ${secret}`));
    });
  }

  for (const mode of [0o644, 0o604, 0o602, 0o601, 0o660]) {
    test(`of mode ${mode.toString(8)} is refused, with the command that closes it`, () => {
      const path = tokenFile(secret, mode);
      assert.throws(
        () => readToken(path),
        new PosternError('forbidden', `token file ${path} is open to others: run 'chmod 640 ${path}'`),
      );
    });
  }

  for (const [what, text] of [
    ['short', 'hunter2'],
    ['empty', '\n'],
    ['two-line', `${secret}\n${secret}\n`],
  ] as const) {
    test(`with a ${what} token is refused`, () => {
      assert.throws(() => readToken(tokenFile(text, 0o600)), { code: 'invalid' });
    });
  }

  test('that is missing is an error of the system', () => {
    assert.throws(() => readToken(join(folder, 'none')), { code: 'system' });
  });
});

suite('an Authorization header', () => {
  const token = readToken(tokenFile(secret, 0o600));

  for (const header of [`Bearer ${secret}`, `bearer ${secret}`, `Bearer  ${secret} `]) {
    test(`'${header}' is taken`, () => assert.ok(bears(token, header)));
  }

  for (const header of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    secret,
    `Basic ${secret}`,
    `Bearer ${secret}x`,
    `Bearer ${secret.slice(1)}`,
    `Bearer ${secret} ${secret}`,
    `Bearer ${secret.toLowerCase()}`,
  ]) {
    test(`'${header}' is not`, () => assert.ok(!bears(token, header)));
  }
});
