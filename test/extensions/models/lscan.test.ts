/** lscan's machine against the table of its states and events, read line by line. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LscanOptions, type LscanPacket, lscan } from '../../../src/extensions/models/lscan.js';

type Flag = 'fin' | 'syn' | 'rst' | 'psh' | 'ack' | 'urg';
const flagBit: Readonly<Record<Flag, number>> = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 };

interface Event {
  readonly flags: ReadonlySet<Flag>;
  readonly isNew: boolean;
  readonly loopback: boolean;
  readonly empty: boolean;
}

/** Of the flags that are looked at these are set and no others. */
const only = ({ flags }: Event, set: string, of: string): boolean =>
  (of.split(' ') as Flag[]).every((flag) => flags.has(flag) === set.split(' ').includes(flag));

const opens = (event: Event): boolean => only(event, 'syn', 'syn ack fin rst');
const acks = (event: Event): boolean => only(event, 'ack', 'syn ack fin rst');
const acksPlainly = (event: Event): boolean => only(event, 'ack', 'syn ack fin rst psh urg');
const closes = (event: Event): boolean => only(event, 'rst', 'fin rst syn') || only(event, 'fin', 'fin rst syn');
const always = (): boolean => true;

/** State, event, next state. The first line that fits counts; without one the state stays. */
const machine: readonly (readonly [from: number, when: (event: Event) => boolean, to: number])[] = [
  [1, (event) => event.loopback && only(event, 'syn ack', 'syn ack fin rst'), 1],
  [1, (event) => event.loopback && only(event, 'rst ack', 'syn ack fin rst'), 2],
  [1, acksPlainly, 4],
  [1, always, 3],
  [4, closes, 6],
  [4, (event) => !event.loopback && acks(event) && event.empty, 5],
  [4, always, 8],
  [5, (event) => acks(event) && event.empty, 5],
  [5, closes, 7],
  [5, always, 8],
  ...[0, 2, 3, 6, 7, 8, 77].map((from) => [from, (event: Event) => event.isNew && opens(event), 1] as const),
];

function slow(options: LscanOptions, packet: LscanPacket) {
  const flags = new Set((Object.keys(flagBit) as Flag[]).filter((flag) => (packet.tcpFlags & flagBit[flag]) !== 0));
  const marks = { connectionMark: packet.connectionMark, packetMark: packet.packetMark };
  const { ctState, loopback } = packet;
  const event: Event = { flags, isNew: ctState === 'new', loopback, empty: packet.payloadLength === 0 };
  if (options.mirai && packet.destination === packet.sequence) return { matches: true, ...marks };
  if (ctState === 'none') {
    const refuses = only(event, 'rst ack', 'syn ack fin rst') || only(event, 'rst', 'fin rst syn');
    return { matches: options.stealth && !refuses && !opens(event), ...marks };
  }
  if (packet.connectionMark === 8 || packet.packetMark !== 9) {
    const line = machine.find(([from, when]) => from === marks.connectionMark && when(event));
    if (line !== undefined) [, , marks.connectionMark] = line;
    marks.packetMark = 9;
  }
  const wanted = [options.synscan && 3, options.cnscan && 6, options.grscan && 7];
  return { matches: wanted.includes(marks.connectionMark), ...marks };
}

const options: fc.Arbitrary<LscanOptions> = fc.record({
  stealth: fc.boolean(),
  synscan: fc.boolean(),
  cnscan: fc.boolean(),
  grscan: fc.boolean(),
  mirai: fc.boolean(),
});
const address = fc.constantFrom(0xc000_0201, 0xc633_6401);
const packet: fc.Arbitrary<LscanPacket> = fc.record(
  {
    ctState: fc.constantFrom('none', 'new', 'established', 'related', 'reply'),
    loopback: fc.boolean(),
    tcpFlags: fc.oneof(fc.nat(63), fc.constantFrom(2, 16, 24, 17, 4, 20, 18)),
    payloadLength: fc.constantFrom(0, 0, 9),
    sequence: address,
    destination: address,
    connectionMark: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 77),
    packetMark: fc.constantFrom(0, 9, 5),
  },
  { requiredKeys: ['ctState', 'loopback', 'tcpFlags', 'payloadLength', 'sequence', 'connectionMark', 'packetMark'] },
);

test('a packet takes a connection on as the table of states says', () => {
  fc.assert(
    fc.property(options, packet, (wanted, one) => assert.deepEqual(lscan(wanted, one), slow(wanted, one))),
    { numRuns: 10_000 },
  );
});
