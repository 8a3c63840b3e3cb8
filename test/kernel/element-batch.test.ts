import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementBatch, successor } from '../../src/kernel/element-batch.js';
import type { ElementChange } from '../../src/kernel/kernel.js';
import { FLAG, type NetlinkMessage, readMessages } from '../../src/wire/netlink.js';
import { NFT } from '../../src/wire/nftables.js';
import { readElements } from '../../src/wire/nftables-elements.js';
import { testManifest } from './test-sets.js';

const OLDEST = { destroy: false, updateTimeout: false };
const NEWEST = { destroy: true, updateTimeout: true };
const [HOSTS, PREFIXES, PAIRS, SIX] = [0, 2, 4, 6] as const;

/** What `nft` 1.0.6 sent for a command, as strace showed it; begin and end of the batch included. */
const TRACES = {
  'add element inet t hosts { 192.0.2.1 timeout 1h comment "ssh" }': [
    '1400000010000100000000000000000000 00000a 5c0000000c0a01040100000000000000 01000000 06000100 74000000',
    '0a000200 686f737473000000 0800040000000001 2c000380 28000180 0c000400 000000000036ee80 0c000180 08000100 c0000201',
    '0a000600 0004737368000000 1400000011000100020000000000000000 00000a',
  ],
  'add element inet t prefixes { 198.51.100.0/24 timeout 1m }': [
    '1400000010000100000000000000000000 00000a 840000000c0a01040100000000000000 01000000 06000100 74000000',
    '0d000200 7072656669786573 00000000 0800040000000002 50000380 18000180 0800030000000001 0c000180 08000100 00000000',
    '1c000280 0c000400 000000000000ea60 0c000180 08000100 c6336400 18000380 0800030000000001 0c000180 08000100 c6336500',
    '1400000011000100020000000000000000 00000a',
  ],
  'add element inet t pairs { 198.51.100.0/24 . 22-23 timeout 1m }': [
    '1400000010000100000000000000000000 00000a 640000000c0a01040100000000000000 01000000 06000100 74000000',
    '0a000200 7061697273000000 0800040000000003 34000380 30000180 0c000400 000000000000ea60 10000180 0c000100',
    'c633640000160000 10000a80 0c000100 c63364ff00170000 1400000011000100020000000000000000 00000a',
  ],
  'add element inet t six { 2001:db8::1 timeout 90s }': [
    '1400000010000100000000000000000000 00000a 580000000c0a01040100000000000000 01000000 06000100 74000000',
    '08000200 73697800 0800040000000004 2c000380 28000180 0c000400 0000000000015f90 18000180 14000100',
    '20010db8000000000000000000000001 1400000011000100020000000000000000 00000a',
  ],
  'delete element inet t hosts { 192.0.2.1 }': [
    '1400000010000100000000000000000000 00000a 3c0000000e0a01000100000000000000 01000000 06000100 74000000',
    '0a000200 686f737473000000 14000380 10000180 0c000180 08000100 c0000201 1400000011000100020000000000000000 00000a',
  ],
} as const;

function traced(command: keyof typeof TRACES): NetlinkMessage[] {
  return readMessages(Buffer.from(TRACES[command].join('').replaceAll(' ', ''), 'hex'));
}

function sent(changes: readonly ElementChange[], features = NEWEST): NetlinkMessage[] {
  return readMessages(elementBatch(testManifest, changes, { features, firstSeq: 0 }).bytes);
}

/** Without the id that nft gives the set within a transaction (attribute 4): the name says it all. */
function withoutSetId({ body }: NetlinkMessage): string {
  const hex = body.toString('hex');
  return hex.replace(/0800040000000\d{3}/, '');
}

function add(set: number, key: string, more: Partial<ElementChange> = {}): ElementChange {
  return { op: 'add', set, key: new Uint8Array(Buffer.from(key, 'hex')), ...more } as ElementChange;
}

for (const [command, change] of [
  [
    'add element inet t hosts { 192.0.2.1 timeout 1h comment "ssh" }',
    add(HOSTS, 'c0000201', { timeoutMs: 3_600_000, comment: 'ssh' }),
  ],
  [
    'add element inet t pairs { 198.51.100.0/24 . 22-23 timeout 1m }',
    add(PAIRS, 'c633640000160000', {
      keyEnd: new Uint8Array(Buffer.from('c63364ff00170000', 'hex')),
      timeoutMs: 60_000,
    }),
  ],
  [
    'add element inet t six { 2001:db8::1 timeout 90s }',
    add(SIX, '20010db8000000000000000000000001', { timeoutMs: 90_000 }),
  ],
] as const) {
  test(`the bytes are those of nft ${command}`, () => {
    const [theirs, ours] = [traced(command), sent([change])];
    assert.deepEqual(
      ours.map(({ type, seq }) => [type, seq]),
      theirs.map(({ type, seq }) => [type, seq]),
    );
    assert.equal(ours[1]?.flags, (theirs[1]?.flags ?? 0) | FLAG.ACK);
    assert.deepEqual(ours.map(withoutSetId), theirs.map(withoutSetId));
  });
}

test('the bytes of a delete are those of nft, behind the add that makes sure of it on old kernels', () => {
  const key = new Uint8Array(Buffer.from('c0000201', 'hex'));
  const theirs = traced('delete element inet t hosts { 192.0.2.1 }');
  const ours = sent([{ op: 'delete', set: HOSTS, key }], OLDEST);
  assert.deepEqual(
    ours.map(({ type }) => type),
    [0x10, NFT.NEWSETELEM, NFT.DELSETELEM, 0x11],
  );
  assert.equal(withoutSetId(ours[2] ?? assert.fail()), withoutSetId(theirs[1] ?? assert.fail()));
  const [, destroy] = sent([{ op: 'delete', set: HOSTS, key }]);
  assert.equal(destroy?.type, NFT.DESTROYSETELEM);
  assert.equal(withoutSetId(destroy ?? assert.fail()), withoutSetId(theirs[1] ?? assert.fail()));
});

test('an interval has the same start and end as from nft, which adds a mark before the first one', () => {
  const keyEnd = new Uint8Array(Buffer.from('c63364ff', 'hex'));
  const [, ours] = sent([add(PREFIXES, 'c6336400', { keyEnd, timeoutMs: 60_000 })]);
  const [, theirs] = traced('add element inet t prefixes { 198.51.100.0/24 timeout 1m }');
  const [mark, ...interval] = readElements((theirs ?? assert.fail()).body).elements;
  assert.deepEqual(mark, { key: new Uint8Array(4), intervalEnd: true });
  assert.deepEqual(readElements((ours ?? assert.fail()).body).elements, interval);
});

test('an interval up to the highest address has no end, and leaves those of others alone', () => {
  const messages = sent([
    add(PREFIXES, 'ffffff00', { keyEnd: new Uint8Array(Buffer.from('ffffffff', 'hex')) }),
    add(PREFIXES, 'c6336400', { keyEnd: new Uint8Array(Buffer.from('c63364ff', 'hex')) }),
  ]);
  const elements = messages.slice(1, -1).flatMap(({ body }) => readElements(body).elements);
  assert.deepEqual(
    elements.map(({ key, intervalEnd = false }) => [Buffer.from(key ?? []).toString('hex'), intervalEnd]),
    [
      ['ffffff00', false],
      ['c6336400', false],
      ['c6336500', true],
    ],
  );
});

test('only the last element message asks for an acknowledgement', () => {
  const changes = Array.from({ length: 9_000 }, (_, index) => add(HOSTS, (index + 1).toString(16).padStart(8, '0')));
  const messages = sent(changes);
  assert.ok(messages.length > 5);
  assert.deepEqual(
    messages.flatMap(({ flags }, index) => ((flags & FLAG.ACK) === 0 ? [] : [index])),
    [messages.length - 2],
  );
  assert.equal(
    messages.slice(1, -1).reduce((sum, { body }) => sum + readElements(body).elements.length, 0),
    9_000,
  );
});

test('a message number names the changes of its message', () => {
  const hosts = [1, 2, 3].map((host) => add(HOSTS, `c000020${host}`));
  const changes = [...hosts, add(SIX, '0'.repeat(32)), add(HOSTS, 'c0000204')];
  const joined = elementBatch(testManifest, changes, { features: NEWEST, firstSeq: 10 });
  assert.deepEqual([11, 12, 13, 14].map(joined.changesOf), [
    { seq: 11, from: 0, to: 1 },
    { seq: 12, from: 1, to: 3 },
    { seq: 13, from: 3, to: 4 },
    { seq: 14, from: 4, to: 5 },
  ]);
  assert.deepEqual([10, 15].map(joined.changesOf), [undefined, undefined]);
  assert.equal(joined.nextSeq, 16);
  const separate = elementBatch(testManifest, changes, { features: OLDEST, firstSeq: 1, separate: true });
  assert.deepEqual(
    [2, 3, 4, 5].map((seq) => separate.changesOf(seq)?.from),
    [0, 0, 0, 1],
  );
});

test('the first change is alone in its message, which alone asks for the generation when that is wanted', () => {
  const changes = [1, 2, 3].map((host) => add(HOSTS, `c000020${host}`));
  const batch = elementBatch(testManifest, changes, { features: NEWEST, firstSeq: 0 });
  const echoes = () => readMessages(batch.bytes).map(({ flags }) => (flags & FLAG.ECHO) !== 0);
  assert.deepEqual(echoes(), [false, false, false, false]);
  batch.askGeneration();
  assert.deepEqual(echoes(), [false, true, false, false]);
  const sizes = readMessages(batch.bytes).map(({ type, body }) =>
    type === NFT.NEWSETELEM ? readElements(body).elements.length : 0,
  );
  assert.deepEqual(sizes, [0, 1, 2, 0]);
});

test('the value behind a key carries over, and there is none behind the last', () => {
  assert.deepEqual(successor(Uint8Array.of(1, 255, 255)), Uint8Array.of(2, 0, 0));
  assert.equal(successor(Uint8Array.of(255, 255)), undefined);
});
