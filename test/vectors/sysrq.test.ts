import assert from 'node:assert/strict';
import { parseAddress } from '../../src/net/address.js';
import { verifySysrq } from '../../src/services/sysrq/verify.js';
import { type SysrqHash, sysrqPassword } from '../../src/wire/sysrq.js';
import { testVectors, type Vector } from './vectors.js';

interface SysrqRequest {
  readonly payload_hex: string;
  readonly dst: string;
  readonly ip_protocol: number;
  readonly verdict: 'ACCEPT' | 'DROP';
  readonly keys_processed: string;
  readonly seqno_before: number;
  readonly seqno_after: number;
}

interface SysrqVector extends Vector {
  readonly xtables_addons: string;
  readonly hash: SysrqHash;
  readonly module_password: string;
  readonly seqno_at_load: number;
  readonly requests: readonly SysrqRequest[];
}

const differences = {
  'newline of the password': 'since 1.37 the newline of a password is cut only after the first request was judged',
};

/** UDP and UDP-Lite; the rule takes nothing else. */
const datagramProtocols = [17, 136];

testVectors<SysrqVector, keyof typeof differences>('sysrq', differences, (vector) => {
  const [major, minor] = vector.xtables_addons.split('.').map(Number);
  const signsDestination = major! > 1 || minor! >= 37;
  const password = sysrqPassword(Buffer.from(vector.module_password, 'latin1'));
  let sequence = BigInt(vector.seqno_at_load);
  for (const [index, request] of vector.requests.entries()) {
    if (signsDestination && vector.module_password.includes('\n')) return ['newline of the password'];
    const verdict = verifySysrq(
      Buffer.from(request.payload_hex, 'hex'),
      { password, hash: vector.hash, ...(signsDestination ? { destination: parseAddress(request.dst) } : {}) },
      sequence,
    );
    const accepted = verdict.accepted && datagramProtocols.includes(request.ip_protocol);
    assert.equal(accepted ? 'ACCEPT' : 'DROP', request.verdict, `request ${index}`);
    assert.equal(accepted && verdict.accepted ? verdict.keys.toString('latin1') : '', request.keys_processed);
    if (accepted && verdict.accepted) sequence = verdict.sequence;
    assert.equal(Number(sequence), request.seqno_after, `sequence after request ${index}`);
  }
  return [];
});
