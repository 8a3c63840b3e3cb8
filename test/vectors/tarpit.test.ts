import assert from 'node:assert/strict';
import { type TarpitMode, tarpitReply } from '../../src/extensions/models/tarpit.js';
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

testVectors<TarpitVector, keyof typeof differences>('tarpit', differences, (vector) => {
  const segment = {
    flags: vector.in_flags,
    seq: vector.in_seq,
    ack: vector.in_ack,
    window: vector.in_window,
    payloadLength: vector.in_payload_len,
  };
  const reply = tarpitReply(vector.mode, segment, vector.random_draw);
  if (vector.ip_version === 6) return ['IPv6 is answered'];
  assert.deepEqual(
    reply,
    vector.reply
      ? { flags: vector.out_flags, seq: vector.out_seq, ack: vector.out_ack, window: vector.out_window }
      : undefined,
  );
  return [];
});
