import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type EntryWords, entriesFrom, showLine } from '../../src/cli/table-entries.js';

const now = Date.parse('2026-11-22T10:00:00Z');

async function* textOf(...chunks: string[]) {
  yield* chunks;
}

async function entries(chunks: string[], words: EntryWords | 'address only' = {}) {
  let text = '';
  for await (const chunk of entriesFrom(textOf(...chunks), words, () => now)) text += chunk;
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}

suite('entries of standard input', () => {
  test('are separated by blanks and newlines, with comments, and exceptions in either form', async () => {
    assert.deepEqual(
      await entries(['192.0.2.1 192.0.2.2\t# two\n\n# none\nnot 192.0.2.0/24 !2001:', 'db8::1\r\n::1']),
      [
        { address: '192.0.2.1' },
        { address: '192.0.2.2' },
        { address: '192.0.2.0/24', not: true },
        { address: '2001:db8::1', not: true },
        { address: '::1' },
      ],
    );
  });

  test('take the timeout and the comment of the command line', async () => {
    assert.deepEqual(await entries(['192.0.2.1'], { timeout: '1h', comment: 'x' }), [
      { timeout: '1h', comment: 'x', address: '192.0.2.1' },
    ]);
  });

  test('are only addresses to delete', async () => {
    assert.deepEqual(await entries(['!192.0.2.1 192.0.2.2\n{"address":"::1","comment":"c"}'], 'address only'), [
      { address: '192.0.2.1' },
      { address: '192.0.2.2' },
      { address: '::1' },
    ]);
  });

  test('that were shown as JSON keep what is left of their time; expired ones are left out', async () => {
    const shown = [
      {
        address: '192.0.2.1',
        expiresAt: '2026-11-22T10:01:00.000Z',
        timeout: '1d',
        comment: 'c',
        source: {},
        addedAt: '',
      },
      { address: '192.0.2.2', not: true, source: {}, addedAt: '', packets: 5, bytes: 9 },
      { address: '192.0.2.3', expiresAt: '2026-11-22T09:59:59.000Z', source: {}, addedAt: '' },
    ];
    assert.deepEqual(await entries([shown.map((entry) => `${JSON.stringify(entry)}\n`).join('')]), [
      { address: '192.0.2.1', timeout: '60000ms', comment: 'c' },
      { address: '192.0.2.2', not: true, timeout: 'never' },
    ]);
  });

  test('that are broken are errors', async () => {
    await assert.rejects(entries(['{"address":']), { code: 'invalid' });
    await assert.rejects(entries(['x'.repeat(5000)]), { code: 'too-large' });
  });
});

suite('an entry shown', () => {
  test('says how long, by whom, how often and why', () => {
    const entry = {
      address: '192.0.2.0/24',
      not: true,
      expiresAt: '2026-11-23T13:00:30.000Z',
      comment: 'ours',
      source: { kind: 'cli', id: 'uid 0' },
      packets: 3,
      bytes: 180,
    };
    assert.equal(
      showLine(entry, 'full', now),
      '!192.0.2.0/24        expires in 1d 3h  by cli uid 0  3 packets, 180 bytes  # ours\n',
    );
    assert.equal(showLine(entry, 'plain', now), '!192.0.2.0/24\n');
  });
});
