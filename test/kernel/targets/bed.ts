/** What leaves the scratch host for a packet, under a policy. Needs root. */

import assert from 'node:assert/strict';
import type { Entry } from '../../../src/kernel/scratch.js';
import { formatAddress } from '../../../src/net/address.js';
import { decodePacket, encodePacket, type Packet } from '../../../src/wire/packet.js';
import { decodeGolden } from '../../vectors/golden.js';
import { type GoldenHost, goldenHost } from '../../vectors/golden-host.js';
import type { Scope } from '../namespace.js';

export interface Seen {
  readonly device: string;
  readonly from: string;
  readonly to: string;
  readonly packet: Packet;
  readonly bytes: Buffer;
}

export interface TargetBed {
  readonly host: GoldenHost;
  /** What leaves for a packet; each checksum is verified. */
  leaving(packet: Packet | Buffer, at?: Entry): Promise<readonly Seen[]>;
  /** Loads a policy of one chain; at ingress it is that of `wan`. */
  policy(chain: string, ...rules: readonly string[]): Promise<unknown>;
}

export async function targetBed(scope: Scope): Promise<TargetBed> {
  const host = await goldenHost(scope);
  return {
    host,
    async leaving(packet, at = { device: 'wan' }) {
      const bytes = Buffer.isBuffer(packet) ? packet : encodePacket(packet);
      const [run] = await host.scratch.inject([{ packet: bytes, at }]);
      return run!.frames.map((frame) => {
        const sent = Buffer.from(frame.bytes.subarray(14));
        assert.notEqual(decodeGolden(sent).l4_csum_ok, false, `${frame.device}: the checksum`);
        const decoded = decodePacket(sent);
        return {
          device: frame.device,
          from: formatAddress(decoded.source),
          to: formatAddress(decoded.destination),
          packet: decoded,
          bytes: sent,
        };
      });
    },
    policy: (chain, ...rules) =>
      host.policy(
        `version: 1\nchains:\n  ${chain}:\n${chain === 'ingress' ? '    on: wan\n' : ''}    rules:\n${rules.map((rule) => `      - ${rule}`).join('\n')}\n`,
      ),
  };
}
