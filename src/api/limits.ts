/** Bounds of the API. */

import type { RateLimit } from './rate.js';

export const limits = {
  /** Of a JSON body; streams are bounded by line instead. */
  bodyBytes: 1024 * 1024,
  /** Of one listener. */
  connections: 128,
  /** From a request's first byte to its last. A stream is taken as fast as the kernel and the disk take it. */
  requestMs: 600_000,
  headersMs: 10_000,
  /** Of a handler, from the request's head to the answer's end, unless the request or the answer is a stream. */
  answerMs: 120_000,
  /** Of a handler with a stream, which may be read as slowly as people read: the longest that a timer can. */
  streamMs: 2 ** 31 - 1,
  /** A connection without a request on it. */
  idleMs: 75_000,
} as const;

/** Per host (or IPv6 /64) that comes by TCP. */
export const requestRate: RateLimit = { perSecond: 50, burst: 200 };

/** Wrong tokens per host; beyond it no token is looked at. */
export const failedTokenRate: RateLimit = { perSecond: 5 / 60, burst: 5 };
