/**
 * What the real kernel modules did with packets, held against what our rules do with the same packets. A group is
 * `<group>.json` in `POSTERN_GOLDEN` (a folder), or in `test/vectors/golden`; its README says what the fields mean.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { parseAddress } from '../../src/net/address.js';
import { checksum, transportChecksum } from '../../src/wire/checksum.js';
import { encodePacket } from '../../src/wire/packet.js';

const ownFolder = fileURLToPath(new URL('../../../test/vectors/golden', import.meta.url));
const failuresShown = 10;

/** The content of a group. */
export function loadGolden<G>(group: string): G {
  return JSON.parse(readFileSync(join(process.env.POSTERN_GOLDEN ?? ownFolder, `${group}.json`), 'utf8')) as G;
}

/** Fields of a packet as the golden files have them; a packet has those of its family and protocol. */
export interface GoldenFields {
  readonly tos?: number;
  readonly tot_len?: number;
  readonly id?: number;
  readonly df?: boolean;
  readonly mf?: boolean;
  /** Bytes. */
  readonly frag_off?: number;
  readonly ttl?: number;
  readonly ip_opts?: string;
  readonly tclass?: number;
  readonly flow?: number;
  readonly payload_len?: number;
  readonly hlim?: number;
  readonly l4?: 'tcp' | 'udp' | 'icmp' | 'icmp6';
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly win?: number;
  readonly doff?: number;
  readonly opts?: string;
  readonly urg?: number;
  readonly udp_len?: number;
  readonly udp_csum?: number;
  readonly data_len?: number;
  readonly l4_csum_ok?: boolean;
  readonly type?: number;
  readonly code?: number;
  readonly sport?: number;
  readonly dport?: number;
}

/** A packet that was sent, and what came back. */
export interface GoldenRow {
  readonly sent: GoldenFields;
  readonly replies: readonly GoldenFields[];
}

/** A row of the tables of TARPIT and DELUDE: what was sent is of a kind. */
export interface GoldenKind extends GoldenRow {
  readonly kind: string;
}

export interface GoldenTable {
  readonly chain: 'INPUT' | 'FORWARD';
  readonly family: 4 | 6;
  readonly rows: readonly GoldenKind[];
}

export interface GoldenEnds {
  readonly source: string;
  readonly destination: string;
  readonly sport: number;
  readonly dport: number;
}

const flagLetters = 'FSRPAUEC';

/** The bits of `AS`, `none`. */
export const flagBitsOf = (text: string): number =>
  text === 'none' ? 0 : [...text].reduce((bits, letter) => bits | (1 << flagLetters.indexOf(letter)), 0);

const flagText = (bits: number): string =>
  [...'CEUAPRSF'].filter((letter) => (bits & (1 << flagLetters.indexOf(letter))) !== 0).join('') || 'none';

/** The packet that was sent, with our addresses. The data is `data_len` times the same byte. */
export function encodeGolden(sent: GoldenFields, ends: GoldenEnds): Buffer {
  const source = parseAddress(ends.source);
  const destination = parseAddress(ends.destination);
  const isV4 = source.family === 4;
  const segment = segmentOf(sent, ends);
  const protocol = sent.l4 === 'udp' ? 17 : 6;
  const sumAt = protocol === 17 ? 6 : 16;
  if (segment.length > sumAt + 1 && sent.udp_csum !== 0) {
    const right = transportChecksum(source, destination, protocol, segment) || 0xffff;
    segment.writeUInt16BE(sent.l4_csum_ok === false ? right ^ 0x1 : right, sumAt);
  }
  const options = Buffer.from(sent.ip_opts ?? '', 'hex');
  const packet = encodePacket({
    source,
    destination,
    protocol,
    tos: sent.tos ?? sent.tclass ?? 0,
    ttl: sent.ttl ?? sent.hlim ?? 64,
    ...(options.length > 0 && { options }),
    payload: segment,
  });
  if (!isV4) {
    packet.writeUInt32BE((packet.readUInt32BE(0) | (sent.flow ?? 0)) >>> 0, 0);
    return packet;
  }
  packet.writeUInt16BE(sent.id ?? 0, 4);
  packet.writeUInt16BE((sent.df ? 0x4000 : 0) | (sent.mf ? 0x2000 : 0) | ((sent.frag_off ?? 0) >> 3), 6);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(checksum(packet.subarray(0, 20 + options.length)), 10);
  return packet;
}

/** TCP, UDP, or, where the recording has no transport header, the first 12 bytes of one. */
function segmentOf(sent: GoldenFields, { sport, dport }: GoldenEnds): Buffer {
  const data = Buffer.alloc(sent.data_len ?? 0, 0x41);
  if (sent.l4 === 'udp') {
    const header = Buffer.alloc(8);
    header.writeUInt16BE(sport, 0);
    header.writeUInt16BE(dport, 2);
    header.writeUInt16BE(sent.udp_len ?? 8 + data.length, 4);
    return Buffer.concat([header, data]);
  }
  const options = Buffer.from(sent.opts ?? '', 'hex');
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt32BE(sent.seq ?? 0x11223344, 4);
  header.writeUInt32BE(sent.ack ?? 0, 8);
  header[12] = ((sent.doff ?? 20) / 4) << 4;
  header[13] = flagBitsOf(sent.flags ?? 'S');
  header.writeUInt16BE(sent.win ?? 29200, 14);
  header.writeUInt16BE(sent.urg ?? 0, 18);
  if (sent.l4 === undefined) return header.subarray(0, 12);
  return Buffer.concat([header, options, data]);
}

/** A packet as the golden files describe one. */
export function decodeGolden(packet: Buffer): GoldenFields {
  const isV4 = packet[0]! >> 4 === 4;
  const at = isV4 ? (packet[0]! & 15) * 4 : 40;
  const segment = packet.subarray(at);
  const protocol = isV4 ? packet[9]! : packet[6]!;
  const ip = isV4
    ? {
        tos: packet[1]!,
        tot_len: packet.readUInt16BE(2),
        id: packet.readUInt16BE(4),
        df: (packet.readUInt16BE(6) & 0x4000) !== 0,
        ttl: packet[8]!,
      }
    : {
        tclass: (packet.readUInt16BE(0) >> 4) & 0xff,
        flow: packet.readUInt32BE(0) & 0xfffff,
        payload_len: packet.readUInt16BE(4),
        hlim: packet[7]!,
      };
  if (isV4) assert.equal(checksum(packet.subarray(0, at)), 0, 'the checksum of the IPv4 header');
  return { ...ip, ...transportFields(protocol, segment, packet, at) };
}

function transportFields(protocol: number, segment: Buffer, packet: Buffer, at: number): GoldenFields {
  const isV4 = at < 40;
  const [source, destination] = isV4
    ? [packet.subarray(12, 16), packet.subarray(16, 20)]
    : [packet.subarray(8, 24), packet.subarray(24, 40)];
  const sum = () => transportChecksum(addressIn(source), addressIn(destination), protocol, segment);
  if (protocol === 1 || protocol === 58) {
    const ok = (protocol === 1 ? checksum(segment) : sum()) === 0;
    return { l4: protocol === 1 ? 'icmp' : 'icmp6', type: segment[0]!, code: segment[1]!, l4_csum_ok: ok };
  }
  const ports = { sport: segment.readUInt16BE(0), dport: segment.readUInt16BE(2) };
  if (protocol === 17) {
    const udp_csum = segment.readUInt16BE(6);
    return {
      l4: 'udp',
      ...ports,
      udp_len: segment.readUInt16BE(4),
      udp_csum,
      data_len: segment.length - 8,
      l4_csum_ok: (udp_csum === 0 && isV4) || sum() === 0,
    };
  }
  const doff = (segment[12]! >> 4) * 4;
  return {
    l4: 'tcp',
    ...ports,
    flags: flagText(segment[13]!),
    seq: segment.readUInt32BE(4),
    ack: segment.readUInt32BE(8),
    win: segment.readUInt16BE(14),
    doff,
    opts: segment.subarray(20, doff).toString('hex'),
    urg: segment.readUInt16BE(18),
    data_len: segment.length - doff,
    l4_csum_ok: sum() === 0,
  };
}

const addressIn = (bytes: Uint8Array) => ({
  family: bytes.length === 4 ? (4 as const) : (6 as const),
  value: BigInt(`0x${Buffer.from(bytes).toString('hex')}`),
});

/** A wanted difference: when it applies to what was sent, these fields of the recorded reply are not compared. */
export interface Difference<Case> {
  readonly reason: string;
  applies(row: Case): boolean;
  /** What is expected instead of the recorded replies; the fields left out are not compared. */
  expected(replies: readonly GoldenFields[], row: Case): readonly Partial<GoldenFields>[];
}

/** Compares rows one by one and reports how many it ran and which differences showed. */
export class GoldenRun<Case extends Pick<GoldenRow, 'replies'>> {
  #ran = 0;
  #differing = 0;
  readonly #seen = new Map<string, number>();
  readonly #failures: string[] = [];

  constructor(
    private readonly fields: readonly (keyof GoldenFields)[],
    private readonly differences: Readonly<Record<string, Difference<Case>>>,
  ) {}

  check(label: string, row: Case, answers: readonly GoldenFields[]): void {
    this.#ran++;
    const applying = Object.entries(this.differences).filter(([, difference]) => difference.applies(row));
    let expected: readonly Partial<GoldenFields>[] = row.replies.map((reply) => this.#picked(reply));
    for (const [name, difference] of applying) {
      expected = difference.expected(expected as readonly GoldenFields[], row);
      this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1);
    }
    if (applying.length > 0) this.#differing++;
    const found = answers.map((answer, index) => onlyKeys(this.#picked(answer), expected[index] ?? answer));
    if (isDeepStrictEqual(found, expected)) return;
    this.#failures.push(`${label}:\n  we answered ${JSON.stringify(found)}\n  expected    ${JSON.stringify(expected)}`);
  }

  end(t: TestContext): void {
    const counts = [...this.#seen].map(([name, count]) => `${name}: ${count}`).join(', ');
    t.diagnostic(`compared ${this.#ran}, differs on purpose ${this.#differing}${counts && ` (${counts})`}`);
    for (const name of this.#seen.keys()) t.diagnostic(`${name}: ${this.differences[name]!.reason}`);
    assert.ok(this.#ran > 0, 'nothing to compare');
    const more = this.#failures.length > failuresShown ? `\nand ${this.#failures.length - failuresShown} more` : '';
    assert.equal(this.#failures.length, 0, `${this.#failures.slice(0, failuresShown).join('\n')}${more}`);
  }

  #picked(fields: GoldenFields): Partial<GoldenFields> {
    return Object.fromEntries(this.fields.filter((key) => key in fields).map((key) => [key, fields[key]]));
  }
}

function onlyKeys(fields: Partial<GoldenFields>, like: Partial<GoldenFields>): Partial<GoldenFields> {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => key in like));
}

/** Replies without some fields. */
export const without = (
  replies: readonly GoldenFields[],
  ...keys: readonly (keyof GoldenFields)[]
): readonly GoldenFields[] =>
  replies.map((reply) => Object.fromEntries(Object.entries(reply).filter(([key]) => !keys.some((one) => one === key))));
