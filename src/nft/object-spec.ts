/**
 * The part of a named object's definition that nft silently leaves as it was when the object is defined again (limits,
 * ct helpers, ct timeouts): in one form for the model and for a listing, so that they can be compared. An object whose
 * form differs has to be deleted and added. Counters and quotas keep their state and take what changes in place.
 */

import type { NamedObject } from './model.js';

/** '' for what a load changes in place. */
export function objectSpec(object: NamedObject): string {
  switch (object.kind) {
    case 'limit': {
      const { rate, per, unit, burst, inv } = object;
      return limitSpec({ rate, per, rateUnit: unit, burst, burstUnit: unit, inv });
    }
    case 'ct helper':
      return `${object.type} ${object.protocol}`;
    case 'ct timeout':
      return policySpec(object.protocol, object.policy);
    default:
      return '';
  }
}

interface LimitParts {
  readonly rate: number;
  readonly per: string;
  readonly rateUnit: string | undefined;
  readonly burst: number | undefined;
  readonly burstUnit: string | undefined;
  readonly inv: boolean | undefined;
}

const unitBytes: Readonly<Record<string, number>> = { bytes: 1, kbytes: 1024, mbytes: 1024 * 1024 };

/** nft scales bytes as it likes, and leaves out its default burst: 5 packets, none for bytes. */
export function limitSpec({ rate, per, rateUnit, burst, burstUnit, inv }: LimitParts): string {
  const inBytes = rateUnit !== undefined && rateUnit !== 'packets';
  const scale = (unit: string | undefined): number => unitBytes[unit ?? ''] ?? 1;
  const bursts = burst === undefined ? (inBytes ? 0 : 5) : burst * scale(burstUnit);
  return [inv ? 'over' : 'until', rate * scale(rateUnit), inBytes ? 'bytes' : 'packets', per, bursts].join(' ');
}

export const policySpec = (protocol: string, policy: object): string =>
  `${protocol} ${JSON.stringify(Object.entries(policy).sort())}`;
