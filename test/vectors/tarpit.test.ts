import assert from 'node:assert/strict';
import { type TarpitMode, type TcpFields, tarpitReply } from '../../src/extensions/models/tarpit.js';
import { answerSegment } from '../../src/services/responder/answer.js';
import { checksum } from '../../src/wire/checksum.js';
import { encodePacket } from '../../src/wire/packet.js';
import { tcp } from '../kernel/scratch-world.js';
import { decodeGolden, flagBitsOf } from './golden.js';
import { testVectors, type Vector } from './vectors.js';

interface TarpitVector extends Vector {
  readonly mode: TarpitMode;
  readonly ip_version: number;
  readonly in_flags: number;
  readonly in_seq: number;
  readonly in_ack: number;
  readonly in_window: number;
  readonly in_payload_len: number;
  readonly random_draw: number;
  readonly reply: boolean;
  readonly out_flags?: number;
  readonly out_seq?: number;
  readonly out_ack?: number;
  readonly out_window?: number;
}

const differences = {
  'IPv6 is answered':
    '3.x builds its IPv6 reply with the headers mixed up: tarpit never answers, the others without flags',
};

const ends = { 4: ['192.0.2.2', '192.0.2.1'], 6: ['2001:db8::2', '2001:db8::1'] } as const;

/** What the responder writes for a packet with the vector's fields; its checksum is verified. */
function answered(vector: TarpitVector, family: 4 | 6): TcpFields | undefined {
  const [from, to] = ends[family];
  const packet = tcp(from, to, 23, vector.in_flags);
  const header = {
    ...packet.tcp!,
    sequence: vector.in_seq,
    acknowledgement: vector.in_ack,
    window: vector.in_window,
  };
  const data = encodePacket({ ...packet, tcp: header, payload: new Uint8Array(vector.in_payload_len) });
  let written: Buffer | undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const copy = { view, payloadFrom: 0, payloadTo: data.length };
  const isAnswered = answerSegment(copy, vector.mode, vector.random_draw, (_, bytes) => {
    written = Buffer.alloc(bytes, 0xee);
    return new DataView(written.buffer, written.byteOffset, bytes);
  });
  if (!isAnswered || written === undefined) return undefined;
  if (family === 4) assert.equal(checksum(written.subarray(0, 20)), 0, 'the checksum of the IPv4 header');
  const { flags = '', seq = 0, ack = 0, win = 0, sport, dport, l4_csum_ok } = decodeGolden(written);
  assert.deepEqual([sport, dport, l4_csum_ok], [23, header.sourcePort, true]);
  return { flags: flagBitsOf(flags), seq, ack, window: win };
}

testVectors<TarpitVector, keyof typeof differences>('tarpit', differences, (vector) => {
  const segment = {
    flags: vector.in_flags,
    seq: vector.in_seq,
    ack: vector.in_ack,
    window: vector.in_window,
    payloadLength: vector.in_payload_len,
  };
  const reply = tarpitReply(vector.mode, segment, vector.random_draw);
  const family = vector.ip_version === 6 ? 6 : 4;
  assert.deepEqual(answered(vector, family), reply, 'the responder');
  if (family === 6) return ['IPv6 is answered'];
  assert.deepEqual(
    reply,
    vector.reply
      ? { flags: vector.out_flags, seq: vector.out_seq, ack: vector.out_ack, window: vector.out_window }
      : undefined,
  );
  return [];
});
