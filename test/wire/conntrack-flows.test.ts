/** Connections as conntrack knows them: what is written is what is read. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../src/net/address.js';
import { type Flow, type FlowTuple, readFlow, turned, writeFlow } from '../../src/wire/conntrack-flows.js';
import { MessageWriter, readMessages } from '../../src/wire/netlink.js';
import { assertDecoderTotal } from './corpus.js';

function body(flow: Flow): Buffer {
  const writer = new MessageWriter(512);
  writeFlow(writer, 7, flow);
  return readMessages(writer.finish())[0]!.body;
}

const port = fc.integer({ min: 0, max: 65_535 });
const ends = fc.constantFrom(['203.0.113.5', '192.0.2.1'], ['2001:db8::5', '2001:db8::1']);
const tuples = fc.record({ ends, sourcePort: port, destinationPort: port }).map(
  ({ ends: [source, destination], ...ports }): FlowTuple => ({
    ...{ source: parseAddress(source!), destination: parseAddress(destination!) },
    ...ports,
  }),
);

test('a connection that is written is read as it was', () => {
  const flows = fc.record({
    tuple: tuples,
    protocol: fc.constantFrom(6, 17),
    mark: fc.integer({ min: 1, max: 0xffff_ffff }),
    zone: fc.integer({ min: 1, max: 65_535 }),
    timeoutS: fc.integer({ min: 1, max: 1_000_000 }),
  });
  fc.assert(
    fc.property(flows, ({ tuple, ...rest }) => {
      const flow = { ...rest, original: tuple, reply: turned(tuple) };
      assert.deepEqual(readFlow(body(flow)), { ...flow, assured: true });
    }),
  );
});

test('a translated connection is written as the original and its translation: the kernel makes the reply of them', () => {
  const original: FlowTuple = {
    ...{ source: parseAddress('198.51.100.7'), destination: parseAddress('203.0.113.9') },
    ...{ sourcePort: 5000, destinationPort: 443 },
  };
  const reply = { ...turned(original), destination: parseAddress('192.0.2.1'), destinationPort: 6000 };
  const plain = body({ protocol: 6, original, reply: turned(original) });
  const translated = body({ protocol: 6, original, reply });
  assert.deepEqual(readFlow(translated).reply, turned(original));
  assert.ok(translated.length > plain.length);
  assert.ok(translated.includes(Buffer.from([192, 0, 2, 1])));
  assert.ok(!plain.includes(Buffer.from([192, 0, 2, 1])));
});

test('whatever the bytes are, they are read or refused', () => {
  const ends = { source: parseAddress('203.0.113.5'), destination: parseAddress('192.0.2.1') };
  const original = { ...ends, sourcePort: 1, destinationPort: 2 };
  assertDecoderTotal(readFlow, [body({ protocol: 6, original, reply: turned(original) })]);
});
