/** What the main thread and the packet worker say to each other, and the counters that they share. */

import type { MessagePort } from 'node:worker_threads';
import type { DutySpec } from './packet-duty.js';
import type { ThreadFailure } from './thread-messages.js';

export interface PacketWorkerData {
  readonly namespace?: string;
  readonly port: MessagePort;
  /** An eventfd of the process; written after every message. */
  readonly wakeFd: number;
  /** MAX_DUTIES rows of COUNTERS, as 64-bit floating point: whole numbers up to 2^53, written by the worker alone. */
  readonly counters: SharedArrayBuffer;
  /** Where it notes its sockets: the log's, then the sender's. */
  readonly fds: SharedArrayBuffer;
}

/** Sockets of the packet worker. */
export const PACKET_FDS = 4;

export type ToPacketWorker =
  /** Replaces all duties; those that stay the same go on undisturbed. */
  | { readonly id: number; readonly do: 'duties'; readonly duties: readonly PlacedDuty[] }
  | { readonly id: number; readonly do: 'close' };

/** A duty and its row in the counters. */
export interface PlacedDuty {
  readonly duty: DutySpec;
  readonly row: number;
}

export type FromPacketWorker =
  | { readonly id: number; readonly done: true }
  | { readonly id: number; readonly failed: ThreadFailure }
  | { readonly events: readonly { readonly duty: string; readonly event: unknown }[] };

export const MAX_DUTIES = 256;

/** Columns of a duty's row. */
export const COUNTERS = [
  /** Packets that the duty saw, and their bytes as far as they were copied. */
  'packets',
  'bytes',
  /** Packets that the kernel had no room for: gaps in the sequence numbers. */
  'lost',
  'replies',
  /** Replies that the duty's limit held back. */
  'limited',
  'events',
  /** Events beyond the bound. */
  'eventsDropped',
  /** Packets on which the duty failed. */
  'failures',
  /** Packets that share a datagram: 1 when it is quiet, 64 under load. */
  'threshold',
] as const;

export type CounterName = (typeof COUNTERS)[number];
export type PacketCounters = Readonly<Record<CounterName, number>>;

/** Counters of the sender and of the socket, in the row behind the duties'. */
export const SENDER_COUNTERS = ['sent', 'sendFailed'] as const;

export const COUNTER_BYTES = (MAX_DUTIES + 1) * COUNTERS.length * 8;
