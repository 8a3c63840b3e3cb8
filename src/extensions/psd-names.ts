/** What the exact form of psd hands to the daemon, and where it finds what the daemon has found. */

export const psdName = 'psd';
/** Purpose of the sets of sources that scan. */
export const psdFound = 'found';
export const psdDuty = 'psd';

/** Bytes of a copy: the longest IP header and the ports and flags behind it. */
export const psdCopyBytes = 80;

/** A detector of the policy; rules with the same numbers share one. */
export interface PsdDuty {
  readonly weightThreshold: number;
  readonly delayMs: number;
  readonly loPortsWeight: number;
  readonly hiPortsWeight: number;
  /** Hosts that are remembered at a time. */
  readonly hosts: number;
  /** How long a source counts as one that scans. */
  readonly holdMs: number;
}

/** What copies of a detector are marked with. */
export const psdPrefix = (name: string): string => `psd:${name}`;
