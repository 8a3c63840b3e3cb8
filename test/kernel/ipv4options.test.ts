/** ipv4options by packets through the real kernel, against the reference function. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { optionsOf, testOptions } from '../../src/extensions/models/ipv4options.js';
import type { Packet } from '../../src/wire/packet.js';
import { matchHost } from './match-host.js';
import { udp } from './scratch-world.js';

const host = await matchHost({ after });

const withOptions = (options: Uint8Array): Packet => ({ ...udp('203.0.113.5', '192.0.2.1', 999), options });

/** Options as they stand in real headers, broken ones among them, filled up to a multiple of 4 bytes. */
const option = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom([1], [0x94, 4, 0, 0], [7, 7, 4, 0, 0, 0, 0], [0x44, 8, 5, 0, 0, 0, 0, 0]) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.integer({ min: 2, max: 255 }), fc.uint8Array({ maxLength: 12 }))
      .map(([type, data]) => [type, data.length + 2, ...data]),
  },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => [...bytes]) },
);
const area = fc.tuple(fc.array(option, { maxLength: 8 }), fc.constantFrom(0, 1)).map(([list, filler]) => {
  const bytes = list.flat().slice(0, 40);
  return Uint8Array.from([...bytes, ...Array.from({ length: -bytes.length & 3 }, () => filler)]);
});
const number = fc.integer({ min: 1, max: 31 });
const spec = fc
  .record({
    flags: fc.uniqueArray(number, { minLength: 1, maxLength: 4 }),
    not: fc.integer({ min: 0, max: 15 }),
    any: fc.boolean(),
  })
  .map(({ flags, not, any }) => ({
    present: flags.filter((_, index) => ((not >> index) & 1) === 0),
    absent: flags.filter((_, index) => ((not >> index) & 1) === 1),
    any,
  }));

const written = ({ present, absent, any }: { present: number[]; absent: number[]; any: boolean }): string =>
  `ipv4options: { flags: [${[...present, ...absent.map((one) => `not ${one}`)].join(', ')}], any: ${any} }`;

test('headers of every kind match as the reference says, in rules that share a walk and in ones that have their own', async () => {
  const property = fc.asyncProperty(
    fc.array(spec, { minLength: 2, maxLength: 8 }),
    fc.array(area, { minLength: 20, maxLength: 20 }),
    async (specs, areas) => {
      await host.rules('prerouting', specs.map(written));
      for (const options of areas) {
        const bits = optionsOf(options);
        const wanted = specs.map((one) => (testOptions(one, bits) ? 1 : 0));
        const hex = Buffer.from(options).toString('hex');
        assert.deepEqual(await host.hits(withOptions(options)), wanted, `${hex} ${specs.map(written).join(' | ')}`);
      }
    },
  );
  await fc.assert(property, { numRuns: 5 });
});

test("the manual's examples, any option at all, and every number alone", async () => {
  const single = Array.from({ length: 31 }, (_, index) => `ipv4options: { flags: ${index + 1} }`);
  const examples = [
    'ipv4options: { flags: [nop] }',
    'ipv4options: { flags: [nop, not lsrr] }',
    'ipv4options: { flags: [lsrr, ssrr], any: true }',
    'ipv4options: { flags: [not nop, not timestamp], any: true }',
    'ipv4options: true',
    'ipv4options: { any: true }',
  ];
  await host.rules('prerouting', [...examples, ...single]);
  const seen = async (hex: string) => (await host.hits(withOptions(Buffer.from(hex, 'hex')))).slice(0, examples.length);
  assert.deepEqual(await seen(''), [0, 0, 0, 1, 0, 0]);
  assert.deepEqual(await seen('01010101'), [1, 1, 0, 1, 1, 1]);
  assert.deepEqual(await seen('0183070400000000'), [1, 0, 1, 1, 1, 1]);
  assert.deepEqual(await seen('014408050000000000000000'), [1, 1, 0, 0, 1, 1]);
  for (let type = 1; type <= 31; type++) {
    const bytes = type === 1 ? [1, 0, 0, 0] : [type, 4, 0, 0];
    const found = (await host.hits(withOptions(Uint8Array.from(bytes)))).slice(examples.length);
    assert.deepEqual(
      found,
      single.map((_, index) => (index + 1 === type ? 1 : 0)),
      `option ${type}`,
    );
  }
});

test('the longest header, forty nops and an option in the last four bytes, is walked to its end', async () => {
  await host.rules('prerouting', [
    'ipv4options: { flags: router-alert }',
    'ipv4options: { flags: [nop, not router-alert] }',
  ]);
  const nops = Buffer.alloc(40, 1);
  assert.deepEqual(await host.hits(withOptions(nops)), [0, 1]);
  nops.set([0x94, 4, 0, 0], 36);
  assert.deepEqual(await host.hits(withOptions(nops)), [1, 0]);
  nops.set([1, 0x94, 4, 0], 36);
  assert.deepEqual(await host.hits(withOptions(nops)), [0, 1]);
});

test('IPv6 has no such options, and what is done with the mark is not seen from outside', async () => {
  await host.rules('prerouting', [
    'ipv4options: { flags: not router-alert }',
    'mark: 0x1/0xff, ipv4options: { flags: record-route }',
    'mark: 0x0/0xff',
  ]);
  assert.deepEqual(await host.hits(udp('2001:db8:7::5', '2001:db8::1', 999)), [0, 0, 1]);
  assert.deepEqual(await host.hits(withOptions(Uint8Array.from([7, 3, 4, 0]))), [1, 0, 1]);
});
