/**
 * Whether a SYSRQ request is carried out, decided in the order of xt_SYSRQ. Pure: the caller puts the new sequence
 * number in the store before any key takes effect.
 */

import { decodeSysrq, type SysrqSecret, verifySysrqDigest } from '../../wire/sysrq.js';

export type SysrqRefusal = 'no-password' | 'empty' | 'malformed' | 'replayed' | 'short-digest' | 'bad-digest';

export type SysrqVerdict =
  | { readonly accepted: true; readonly keys: Buffer; readonly sequence: bigint }
  | { readonly accepted: false; readonly refusal: SysrqRefusal };

/** @param sequence the greatest number that was accepted so far; a request has to exceed it. */
export function verifySysrq(datagram: Buffer, secret: SysrqSecret, sequence: bigint): SysrqVerdict {
  if (secret.password === '') return refused('no-password');
  if (datagram.length === 0) return refused('empty');
  const request = decodeSysrq(datagram);
  if (request === undefined) return refused('malformed');
  if (request.sequence <= sequence) return refused('replayed');
  switch (verifySysrqDigest(request, secret)) {
    case 'good':
      return { accepted: true, keys: request.keys, sequence: request.sequence };
    case 'short':
      return refused('short-digest');
    case 'bad':
      return refused('bad-digest');
  }
}

function refused(refusal: SysrqRefusal): SysrqVerdict {
  return { accepted: false, refusal };
}
