import assert from 'node:assert/strict';
import { type LscanPacket, lscan } from '../../src/extensions/models/lscan.js';
import { parseAddress } from '../../src/net/address.js';
import { testVectors, type Vector } from './vectors.js';

interface LscanStep {
  readonly conn: number;
  readonly ctinfo: number;
  readonly loopback: number;
  readonly tcp_flags: number;
  readonly payload_len: number;
  readonly stealth: number;
  readonly synscan: number;
  readonly cnscan: number;
  readonly grscan: number;
  readonly mirai: number;
  readonly seq: number;
  readonly dst: string;
  readonly nfmark_before: number;
}

interface LscanResult {
  readonly match: number;
  readonly connmark_after: number;
  readonly nfmark_after: number;
}

interface LscanVector extends Vector {
  readonly steps: readonly LscanStep[];
  readonly expected_3_27: readonly LscanResult[];
  readonly expected_1_32: readonly LscanResult[];
}

const differences = {
  'synscan by its own option':
    '3.x reports a SYN scan to --stealth; ours to --synscan, as 1.32 does and the manual says',
};

const states: Readonly<Record<number, LscanPacket['ctState']>> = {
  [-1]: 'none',
  0: 'established',
  1: 'related',
  2: 'new',
  3: 'reply',
  4: 'reply',
};

testVectors<LscanVector, keyof typeof differences>('lscan', differences, (vector) => {
  const marks = new Map<number, number>();
  const seen = vector.steps.map((step) => {
    const result = lscan(
      {
        stealth: step.stealth === 1,
        synscan: step.synscan === 1,
        cnscan: step.cnscan === 1,
        grscan: step.grscan === 1,
        mirai: step.mirai === 1,
      },
      {
        ctState: states[step.ctinfo]!,
        loopback: step.loopback === 1,
        tcpFlags: step.tcp_flags,
        payloadLength: step.payload_len,
        sequence: step.seq,
        destination: Number(parseAddress(step.dst).value),
        connectionMark: marks.get(step.conn) ?? 0,
        packetMark: step.nfmark_before,
      },
    );
    marks.set(step.conn, result.connectionMark);
    return { match: result.matches ? 1 : 0, connmark_after: result.connectionMark, nfmark_after: result.packetMark };
  });
  const plain = (results: readonly LscanResult[]) =>
    results.map(({ match, connmark_after, nfmark_after }) => ({ match, connmark_after, nfmark_after }));
  if (vector.steps.some((step) => step.mirai === 0 && step.stealth !== step.synscan)) {
    assert.deepEqual(seen, plain(vector.expected_1_32));
    return ['synscan by its own option'];
  }
  assert.deepEqual(seen, plain(vector.expected_3_27));
  return [];
});
