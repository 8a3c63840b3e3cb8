/** Traces of nf_tables, from a recording of a real kernel. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Tape } from '../../src/kernel/fake-scratch.js';
import { readTrace } from '../../src/wire/nftrace.js';
import { assertDecoderTotal } from './corpus.js';

const file = join(import.meta.dirname, '../../../test/oracle/tape.json');
const { tape } = JSON.parse(readFileSync(file, 'utf8')) as { readonly tape: Tape };
const traces = tape.flatMap((one) => (one.call === 'inject' ? one.runs.map(({ trace }) => trace) : []));
/** Of the packet that a rule drops. */
const dropped = Buffer.from(traces[1]!, 'base64');
const source = Buffer.from([203, 0, 113, 70]);

test('a packet is traced from its first chain on, with its headers, under one id', () => {
  const events = readTrace(dropped);
  const first = events.find(
    ({ network }) => network !== undefined && Buffer.from(network).subarray(12, 16).equals(source),
  );
  assert.equal(first?.chain, 'ingress_first');
  assert.equal(Buffer.from(first.transport!).readUInt16BE(2), 22);
  const own = events.filter(({ id }) => id === first.id);
  assert.ok(own.length > 5, String(own.length));
  assert.ok(own.every(({ table, chain }) => table !== '' && chain !== ''));
  const last = own.at(-1)!;
  assert.deepEqual([last.table, last.chain, last.kind, last.verdict], ['postern', 'input', 'rule', 'drop']);
  assert.ok(last.handle! > 0);
});

test('whatever the bytes are, they are read or refused', () => assertDecoderTotal(readTrace, [dropped]));
