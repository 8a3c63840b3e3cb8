import assert from 'node:assert/strict';
import { parseAddress } from '../../src/net/address.js';
import { PsdScorer } from '../../src/services/psd/scorer.js';
import { testVectors, type Vector } from './vectors.js';

interface PsdVector extends Vector {
  readonly weight_threshold: number;
  readonly delay_threshold_centisec: number;
  readonly lo_ports_weight: number;
  readonly hi_ports_weight: number;
  readonly packets: readonly {
    readonly t_ms: number;
    readonly src: string;
    readonly proto: number;
    readonly dport: number;
    readonly tcp_flags: number;
    readonly frag_offset: number;
  }[];
  readonly expected_3_27: { readonly match?: readonly number[]; readonly rule_load_error?: number };
  readonly expected_1_32: { readonly match?: readonly number[]; readonly rule_load_error?: number };
}

const differences = {
  '8-bit weight': '3.x adds weights in 8 bits, so that thresholds and sums above 255 go wrong; ours do not wrap',
  'refused at load': '3.x refuses these limits when the rule is loaded; the schema of `psd` does, too',
};

/** The original has room for 256 hosts. */
const hosts = 256;

testVectors<PsdVector, keyof typeof differences>('psd', differences, (vector) => {
  if (vector.expected_3_27.rule_load_error !== undefined) return ['refused at load'];
  const scorer = new PsdScorer(
    {
      weightThreshold: vector.weight_threshold,
      delayMs: vector.delay_threshold_centisec * 10,
      loPortsWeight: vector.lo_ports_weight,
      hiPortsWeight: vector.hi_ports_weight,
    },
    { hosts },
  );
  const match = vector.packets.map((packet) =>
    scorer.isScan(
      {
        source: parseAddress(packet.src),
        protocol: packet.proto,
        destinationPort: packet.dport,
        tcpFlags: packet.tcp_flags,
        fragmentOffset: packet.frag_offset,
      },
      packet.t_ms,
    )
      ? 1
      : 0,
  );
  if (Math.max(vector.weight_threshold, vector.lo_ports_weight, vector.hi_ports_weight) > 255) {
    assert.deepEqual(match, vector.expected_1_32.match);
    return ['8-bit weight'];
  }
  assert.deepEqual(match, vector.expected_3_27.match);
  return [];
});
