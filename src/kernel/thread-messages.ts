/** What the main thread and the netlink thread say to each other. */

import type { ErrorCode } from '../errors.js';
import type { Acknowledgement } from '../wire/netlink.js';
import type { PackedElements } from '../wire/nftables-packed-elements.js';
import type { DumpBounds, ListOptions, TransactionResult } from './exchange.js';

export interface ThreadData {
  readonly namespace?: string;
  /** Its end of the channel. */
  readonly port: import('node:worker_threads').MessagePort;
  /** Int32 words at WORD, on which the threads wait for each other. */
  readonly shared: SharedArrayBuffer;
  /** Where it notes its sockets: FD_SLOT. */
  readonly fds: SharedArrayBuffer;
}

/** Words of the shared memory. */
export const WORD = {
  /** Grows with every message to the thread; it sleeps on it. */
  POSTED: 0,
  /** Datagrams of listings that the main thread has read. */
  TAKEN: 1,
} as const;
export const SHARED_BYTES = 8;
export const FD_SLOT = { COMMANDS: 0, DUMP: 1 } as const;

export type ToThread =
  | { readonly id: number; readonly do: 'transact' | 'request'; readonly bytes: Uint8Array }
  | { readonly id: number; readonly do: 'dump'; readonly bytes: Uint8Array; readonly bounds: DumpBounds }
  | {
      readonly id: number;
      readonly do: 'list';
      readonly bytes: Uint8Array;
      readonly bounds: DumpBounds;
      readonly how: ListOptions;
    }
  /** No more datagrams of this dump are wanted. */
  | { readonly id: number; readonly do: 'stop' }
  | { readonly id: number; readonly do: 'close' };

export type FromThread =
  | { readonly id: number; readonly datagram: Uint8Array }
  | { readonly id: number; readonly transaction: TransactionResult }
  | { readonly id: number; readonly elements: PackedElements }
  /** Answers to a request, each a whole message; none for a dump's end. */
  | { readonly id: number; readonly answers: readonly ThreadAnswer[] }
  | { readonly id: number; readonly failed: ThreadFailure };

export interface ThreadAnswer {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly port: number;
  readonly body: Uint8Array;
}

/** An error as data: classes don't cross threads. */
export interface ThreadFailure {
  readonly code: ErrorCode;
  readonly message: string;
  /** Of a KernelRefusal. */
  readonly acknowledgement?: Acknowledgement;
}
