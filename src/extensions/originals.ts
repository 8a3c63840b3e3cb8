/** Everything that xtables-addons has, or had since 1.32, in the order of its manual: what `postern parity` is measured by. */

import type { Extension } from './extension.js';
import { extensions } from './registry.js';

export interface Original {
  /** As the original is written: `TARPIT`, `psd`. */
  readonly name: string;
  readonly kind: 'target' | 'match';
  /** Why there is no extension for it. */
  readonly why?: string;
}

const target = (name: string): Original => ({ name, kind: 'target' });
const match = (name: string, why?: string): Original => ({ name, kind: 'match', ...(why !== undefined && { why }) });

export const originals: readonly Original[] = [
  ...['ACCOUNT', 'CHAOS', 'CHECKSUM', 'DELUDE', 'DHCPMAC', 'ECHO', 'IPMARK', 'LOGMARK'].map(target),
  ...['RAWDNAT', 'RAWSNAT', 'STEAL', 'SYSRQ', 'TARPIT', 'TEE'].map(target),
  ...['condition', 'dhcpmac', 'fuzzy', 'geoip'].map((name) => match(name)),
  match('gradm'),
  ...['iface', 'ipp2p', 'ipv4options', 'length2', 'lscan', 'pknock', 'psd', 'quota2'].map((name) => match(name)),
];

/** The extension that stands for an original; one may stand for a match and a target. */
export function extensionOf({ name }: Original, from: readonly Extension[] = extensions): Extension | undefined {
  return from.find((extension) => extension.name.toLowerCase() === name.toLowerCase());
}
