/** IPMARK by packets through the real kernel, against the reference function. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type IpmarkSpec, ipmarkOf } from '../../src/extensions/ipmark.js';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { scratchWorld, udp } from './scratch-world.js';

const world = await scratchWorld({ after });
const hex = (value: number): string => `0x${value.toString(16)}`;

/** Loads a rule for each spec, told apart by the port, and answers the mark that each gives an address. */
async function marks(
  specs: readonly IpmarkSpec[],
  source: string,
  destination: string,
): Promise<(number | undefined)[]> {
  const rules = specs.map(
    ({ addr, shift, and_mask, or_mask }, index) =>
      `      - { udp: ${1000 + index}, do: { ipmark: { addr: ${addr}, shift: ${shift}, and_mask: ${hex(and_mask)}, or_mask: ${hex(or_mask)} } } }`,
  );
  await world.policy(`version: 1\nchains:\n  prerouting:\n    rules:\n${rules.join('\n')}\n`);
  const outcomes = [];
  for (const index of specs.keys()) outcomes.push(await world.send('wan', udp(source, destination, 1000 + index)));
  return outcomes.map(({ mark }) => mark);
}

const bits = fc.oneof(
  fc.constantFrom(0, 1, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const spec = fc.record({
  addr: fc.constantFrom('src' as const, 'dst' as const),
  shift: fc.integer({ min: 0, max: 128 }),
  and_mask: bits,
  or_mask: bits,
});
/** Any host that may stand in a packet. */
const v4 = fc
  .integer({ min: 0x0b000000, max: 0x7effffff })
  .map((value) => formatAddress({ family: 4, value: BigInt(value) }));
const v6 = fc
  .bigInt({ min: 0n, max: 2n ** 125n - 1n })
  .map((rest) => formatAddress({ family: 6, value: (1n << 125n) | rest }));

for (const [name, address] of [
  ['IPv4', v4],
  ['IPv6', v6],
] as const) {
  test(`every address, shift and mask of ${name} makes the mark that the reference says`, async () => {
    const property = fc.asyncProperty(
      address,
      address,
      fc.array(spec, { minLength: 20, maxLength: 40 }),
      async (source, destination, specs) => {
        const found = await marks(specs, source, destination);
        for (const [index, one] of specs.entries()) {
          const wanted = ipmarkOf(parseAddress(one.addr === 'src' ? source : destination).value, one);
          assert.equal(found[index] ?? 0, wanted, `${source} > ${destination} ${JSON.stringify(one)}`);
        }
      },
    );
    await fc.assert(property, { numRuns: 8 });
  });

  test(`every shift of ${name} alone`, async () => {
    const [source, destination] =
      name === 'IPv4' ? ['198.18.171.205', '192.0.2.1'] : ['2001:db8:fedc:ba98:7654:3210:89ab:cdef', '2001:db8::1'];
    const specs = Array.from({ length: 129 }, (_, shift) => ({
      addr: 'src' as const,
      shift,
      and_mask: 0xffffffff,
      or_mask: 0,
    }));
    const found = await marks(specs, source, destination);
    for (const [shift, one] of specs.entries())
      assert.equal(found[shift] ?? 0, ipmarkOf(parseAddress(source).value, one), `shift ${shift}`);
  });
}

test('a mask of a few bits keeps off the bits that other words need', async () => {
  const plan = await world.policy(`version: 1
chains:
  prerouting:
    rules:
      - { udp: any, do: { ipmark: { addr: src, and_mask: 0xff, or_mask: 0x100 } } }
      - { udp: 9, do: tee to 198.51.100.9 }
`);
  assert.equal(
    plan.manifest.marks.some(({ mask }) => (mask & 0x1ff) !== 0),
    false,
  );
});
