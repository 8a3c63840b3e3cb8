/** The scorer against a slow one: a list of hosts without any hash, in the words of what the module does. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress, parseAddress } from '../../../src/net/address.js';
import { type Probe, type PsdLimits, PsdScorer } from '../../../src/services/psd/scorer.js';

interface SlowHost {
  readonly who: string;
  weight: number;
  last: number;
  readonly probed: string[];
}

const hostsAtOnce = 16;

class SlowScorer {
  readonly #slots = new Array<SlowHost | undefined>(hostsAtOnce);
  #created = 0;

  constructor(readonly limits: PsdLimits) {}

  isScan({ source, protocol, destinationPort, tcpFlags, fragmentOffset }: Probe, now: number): boolean {
    if (![6, 17, 136].includes(protocol) || fragmentOffset > 0) return false;
    const who = formatAddress(source);
    if (who === '0.0.0.0' || who === '::') return false;
    const what = `${protocol}/${destinationPort}`;
    const weight = destinationPort <= 1023 ? this.limits.loPortsWeight : this.limits.hiPortsWeight;
    const [hasRst, hasAck] = protocol === 6 ? [(tcpFlags & 4) > 0, (tcpFlags & 16) > 0] : [false, false];
    const at = this.#slots.findIndex((slot) => slot?.who === who);
    const host = this.#slots[at];
    if (host !== undefined && now <= host.last + this.limits.delayMs) {
      if (host.probed.includes(what) || hasRst || hasAck) return false;
      host.last = now;
      if (host.weight < this.limits.weightThreshold) host.weight += weight;
      if (host.weight >= this.limits.weightThreshold) return true;
      if (host.probed.length < 20) host.probed.push(what);
      return false;
    }
    if (host !== undefined) this.#slots[at] = undefined;
    if (hasAck) return false;
    this.#slots[this.#created % hostsAtOnce] = { who, weight, last: now, probed: [what] };
    this.#created++;
    return false;
  }
}

const limits: fc.Arbitrary<PsdLimits> = fc.record({
  weightThreshold: fc.integer({ min: 1, max: 30 }),
  delayMs: fc.constantFrom(10, 300, 3_000),
  loPortsWeight: fc.nat(5),
  hiPortsWeight: fc.nat(3),
});
const sources = [
  ...Array.from({ length: 20 }, (_, index) => `192.0.2.${index}`),
  ...['0.0.0.0', '::', '2001:db8::7', '2001:db8::c000:207', '::c000:207'],
].map(parseAddress);

/** Few sources that go on for long, or more than there is room for. */
const probes = fc.integer({ min: 1, max: sources.length }).chain((different) =>
  fc.array(
    fc.record({
      source: fc.constantFrom(...sources.slice(sources.length - different)),
      protocol: fc.constantFrom(6, 6, 17, 136, 1),
      destinationPort: fc.oneof(fc.integer({ min: 1015, max: 1035 }), fc.nat(65_535)),
      tcpFlags: fc.constantFrom(2, 2, 2, 0, 1, 4, 16, 20, 41),
      fragmentOffset: fc.constantFrom(0, 0, 0, 0, 0, 185),
      gapMs: fc.oneof(fc.nat(4), fc.constantFrom(0, 10, 11, 300, 301, 3_000, 3_001)),
    }),
    { minLength: 1, maxLength: 150 },
  ),
);

test('each packet is scored as by a list of hosts that is looked through whole', () => {
  fc.assert(
    fc.property(limits, probes, (bounds, packets) => {
      const [scorer, slow] = [new PsdScorer(bounds, { hosts: hostsAtOnce }), new SlowScorer(bounds)];
      let now = 0;
      for (const [index, { gapMs, ...probe }] of packets.entries()) {
        now += gapMs;
        assert.equal(scorer.isScan(probe, now), slow.isScan(probe, now), `packet ${index}`);
      }
    }),
    { numRuns: 600 },
  );
});
