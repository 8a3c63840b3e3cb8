import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageWriter, readMessages } from '../../src/wire/netlink.js';
import { NFT } from '../../src/wire/nftables.js';
import { readEvent } from '../../src/wire/nftables-events.js';
import { readGeneration, writeGenerationRequest } from '../../src/wire/nftables-generation.js';
import { OBJECT_TYPE, readObject, writeObjectRequest } from '../../src/wire/nftables-objects.js';
import { readSetHeader, writeSetHeaderRequest } from '../../src/wire/nftables-sets.js';
import { assertDecoderTotal } from './corpus.js';

const INET = Uint8Array.of(1, 0, 0xc1, 0xd1);

function built(type: number, attributes: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  writer.begin(type, 0, 1);
  writer.header(INET);
  attributes(writer);
  writer.end();
  return writer.finish();
}

test('each kind of event tells its operation, its object and the names', () => {
  const rows = [
    [NFT.NEWTABLE, [[1, 't']], { op: 'new', object: 'table', table: 't' }],
    [NFT.DELTABLE, [[1, 't']], { op: 'delete', object: 'table', table: 't' }],
    [
      NFT.NEWCHAIN,
      [
        [1, 't'],
        [3, 'c'],
      ],
      { op: 'new', object: 'chain', table: 't', name: 'c' },
    ],
    [
      NFT.DELRULE,
      [
        [1, 't'],
        [2, 'c'],
      ],
      { op: 'delete', object: 'rule', table: 't', name: 'c' },
    ],
    [
      NFT.DELSET,
      [
        [1, 't'],
        [2, 's'],
      ],
      { op: 'delete', object: 'set', table: 't', name: 's' },
    ],
    [
      NFT.NEWSETELEM,
      [
        [1, 't'],
        [2, 's'],
      ],
      { op: 'new', object: 'element', table: 't', name: 's' },
    ],
    [
      NFT.NEWOBJ,
      [
        [1, 't'],
        [2, 'o'],
      ],
      { op: 'new', object: 'object', table: 't', name: 'o' },
    ],
    [
      NFT.DELFLOWTABLE,
      [
        [1, 't'],
        [2, 'f'],
      ],
      { op: 'delete', object: 'flowtable', table: 't', name: 'f' },
    ],
  ] as const;
  for (const [type, names, expected] of rows) {
    const [message] = readMessages(
      built(type, (writer) => {
        for (const [attribute, text] of names) writer.text(attribute, text);
      }),
    );
    assert.ok(message);
    assert.deepEqual(readEvent(message), { family: 1, ...expected });
  }
});

test('a generation tells who made it', () => {
  const [message] = readMessages(
    built(NFT.NEWGEN, (writer) => {
      writer.u32(1, 7);
      writer.u32(2, 4711);
      writer.text(3, 'nft');
    }),
  );
  assert.ok(message);
  assert.equal(readEvent(message), undefined);
  assert.deepEqual(readGeneration(message.body), { id: 7, processId: 4711, processName: 'nft' });
});

test('a recorded counter object is read', () => {
  const body = Buffer.from(
    '0100c1d1 06000100 74000000 09000200 636e7431 00000000 08000300 00000001 0c000600 0000000000000004 08000500 00000000 1c000480 0c000100 0000000000003039 0c000200 0000000000000043'.replaceAll(
      ' ',
      '',
    ),
    'hex',
  );
  assert.deepEqual(readObject(body), {
    family: 1,
    table: 't',
    name: 'cnt1',
    type: OBJECT_TYPE.counter,
    counter: { packets: 67n, bytes: 12_345n },
  });
  assertDecoderTotal(readObject, [body]);
});

test('requests name what they ask for', () => {
  const object = new MessageWriter();
  writeObjectRequest(object, NFT.GETOBJ, 0, 3, { family: 1, table: 't', name: 'q', type: OBJECT_TYPE.quota });
  assert.deepEqual(readObject(readMessages(object.finish())[0]?.body ?? assert.fail()), {
    family: 1,
    table: 't',
    name: 'q',
    type: OBJECT_TYPE.quota,
  });
  const set = new MessageWriter();
  writeSetHeaderRequest(set, 4, { family: 1, table: 't', set: 's' });
  assert.deepEqual(readSetHeader(readMessages(set.finish())[0]?.body ?? assert.fail()), {
    family: 1,
    table: 't',
    set: 's',
  });
  const generation = new MessageWriter();
  writeGenerationRequest(generation, 5);
  assert.equal(generation.finish().toString('hex'), '14000000100a0100050000000000000000000000');
});

test('no bytes make these decoders fail in an unknown way', () => {
  const element = built(NFT.NEWSETELEM, (writer) => {
    writer.text(1, 't');
    writer.text(2, 's');
  });
  assertDecoderTotal((bytes) => readMessages(bytes).map(readEvent), [element]);
  const generation = built(NFT.NEWGEN, (writer) => {
    writer.u32(1, 7);
    writer.u32(2, 4711);
    writer.text(3, 'nft');
  });
  assertDecoderTotal((bytes) => readMessages(bytes).map(({ body }) => readGeneration(body)), [generation]);
  const set = built(NFT.NEWSET, (writer) => {
    writer.text(1, 't');
    writer.text(2, 's');
    writer.u32(20, 9);
  });
  assertDecoderTotal((bytes) => readMessages(bytes).map(({ body }) => readSetHeader(body)), [set]);
});
