/** What both forms of psd remember of sources and their ports. */

import type { Family } from '../net/address.js';
import { concat, meta, th } from '../nft/build.js';
import type { Expression } from '../nft/model.js';
import { addressOf, addressType } from './address-field.js';
import { psdName } from './psd-names.js';
import type { SetRequest } from './site.js';

/** The numbers of a rule, as its schema names them. */
export interface PsdSpec {
  readonly weight_threshold: number;
  /** Milliseconds, as `hold`. */
  readonly delay_threshold: number;
  readonly lo_ports_weight: number;
  readonly hi_ports_weight: number;
  readonly exact: boolean;
  readonly hold: number;
  /** Sources that are watched at a time. */
  readonly size: number;
}

/** Rules with the same numbers share their memory. */
export const nameOf = (spec: PsdSpec): string =>
  [spec.weight_threshold, spec.delay_threshold, spec.lo_ports_weight, spec.hi_ports_weight].join('_');

export const source = (family: Family): Expression => addressOf('source', family);
/** A source and a port that it probes. */
export const pair = (family: Family): Expression => concat(source(family), meta('l4proto'), th('dport'));

export function sourceSet(spec: PsdSpec, purpose: string, family: Family, size = spec.size): SetRequest {
  return {
    role: { kind: 'extension', extension: psdName, name: nameOf(spec), purpose, family },
    key: { type: [addressType(family)] },
    flags: ['dynamic', 'timeout'],
    size,
  };
}

const portsPerSource = 4;

export function pairSet(spec: PsdSpec, purpose: string, family: Family): SetRequest {
  const { role, flags } = sourceSet(spec, purpose, family);
  const of = [addressType(family), 'inet_proto', 'inet_service'];
  return { role, key: { type: of }, flags, size: spec.size * portsPerSource };
}
