/** What quotas are made of in the kernel, for the engine, which finds the parts by their purpose. */

export const quotaName = 'quota2';

/** How the policy's rules use a quota decides what it is made of. */
export interface QuotaUse {
  /** Rules that take what a packet needs from it. */
  readonly charged: boolean;
  /** Rules that add to it. */
  readonly grown: boolean;
  /** Rules that look at it and change nothing. */
  readonly looked: boolean;
}

/** What the engine must know of a quota; decimal, since JSON has no large numbers. */
export interface QuotaDuty extends QuotaUse {
  readonly unit: 'bytes' | 'packets';
  /** What it holds at first. */
  readonly amount: string;
}

export const quotaDuty = 'quota';

/** Purposes of the parts. */
export const quotaPart = {
  /** What is left: a quota of bytes, or a limit of packets. */
  left: 'left',
  /** Counts what rules add. */
  grown: 'grown',
  /** Counts the packets that were charged. */
  charged: 'charged',
  /** Set: families of which packets find nothing left. */
  empty: 'empty',
  /** Set: lengths of packets that fit into what is left. */
  fits: 'fits',
} as const;

/** Lengths of packets are 32 bits wide. */
export const longestPacket = 0xffff_ffff;

/** The most that a quota holds: 2^53 - 1. */
export const mostInQuota = BigInt(Number.MAX_SAFE_INTEGER);
