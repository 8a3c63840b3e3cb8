import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import {
  readState,
  writeDeleteBySource,
  writeDeleteState,
  writeNewState,
  writeStatesRequest,
} from '../../src/wire/conntrack.js';
import { MessageWriter, readMessages } from '../../src/wire/netlink.js';
import { addressesOf } from '../net/arbitraries.js';
import { assertDecoderTotal } from './corpus.js';

function hex(write: (writer: MessageWriter) => void): string {
  const writer = new MessageWriter(32);
  write(writer);
  return writer.finish().toString('hex');
}

test('a delete by source is a filter and an incomplete tuple, with the version that honours the family', () => {
  assert.equal(
    hex((writer) => writeDeleteBySource(writer, 1, parseAddress('192.0.2.1'), 'original')),
    [
      ['38000000', '0201', '0500', '01000000', '00000000', '02010000'],
      ['14001980', '0800010001000000', '0800020000000000'],
      ['10000180', '0c000180', '08000100c0000201'],
    ]
      .flat()
      .join(''),
  );
  assert.equal(
    hex((writer) => writeDeleteBySource(writer, 1, parseAddress('2001:db8::1'), 'reply')),
    [
      ['44000000', '0201', '0500', '01000000', '00000000', '0a010000'],
      ['14001980', '0800010000000000', '0800020001000000'],
      ['1c000280', '18000180', '1400030020010db8000000000000000000000001'],
    ]
      .flat()
      .join(''),
  );
});

test('an entry names itself by its original tuple, however it came', () => {
  const pair = fc
    .constantFrom(4 as const, 6 as const)
    .chain((family) => fc.tuple(addressesOf(family), addressesOf(family)));
  fc.assert(
    fc.property(pair, fc.nat(65_535), fc.nat(65_535), ([source, destination], sourcePort, destinationPort) => {
      const writer = new MessageWriter();
      writeNewState(writer, 1, { source, destination, sourcePort, destinationPort, timeoutSeconds: 60 });
      const [message] = readMessages(writer.finish());
      assert.ok(message);
      const entry = readState(message.type, message.body);
      assert.ok(entry);
      assert.deepEqual(new Uint8Array(entry.originalSource), addressBytes(source));
      assert.deepEqual(new Uint8Array(entry.replySource), addressBytes(destination));
      const deletion = new MessageWriter();
      writeDeleteState(deletion, 2, { ...entry, id: Buffer.from('01020304', 'hex'), zone: Buffer.from('0007', 'hex') });
      const [sent] = readMessages(deletion.finish());
      assert.ok(sent);
      const tupleAt = sent.body.indexOf(entry.originalTuple);
      assert.ok(tupleAt > 0);
      assert.equal(sent.body.subarray(-16).toString('hex'), '06001200000700000800' + '0c0001020304');
    }),
  );
});

test('a listing is asked for by family', () => {
  assert.equal(
    hex((writer) => writeStatesRequest(writer, 3, 6)),
    '1400000001010103030000000000000' + '00a000000',
  );
});

test('no bytes make the decoder fail in an unknown way', () => {
  const writer = new MessageWriter();
  writeNewState(writer, 1, {
    source: parseAddress('192.0.2.1'),
    destination: parseAddress('192.0.2.2'),
    sourcePort: 1,
    destinationPort: 2,
    timeoutSeconds: 3,
  });
  assertDecoderTotal((bytes) => readMessages(bytes).map(({ type, body }) => readState(type, body)), [writer.finish()]);
});
