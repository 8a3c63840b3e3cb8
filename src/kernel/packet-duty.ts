/**
 * What the packet worker does with a logged packet. A duty is a module of its own, loaded in the worker by its URL, that
 * exports `createDuty`. It works on its own memory only: no IO, time as an argument.
 *
 *     export const createDuty: CreateDuty = (spec) => ({
 *       packet(packet, out) { … },
 *     });
 */

import type { LoggedPacket } from '../wire/nflog.js';

export interface PacketDuty {
  /**
   * One packet. It and its payload are valid during the call.
   * @param nowMs milliseconds from any start, the same for all packets of a datagram
   */
  packet(packet: LoggedPacket, out: DutyOutput, nowMs: number): void;
  /** Called about ten times a second. */
  tick?(nowMs: number, out: DutyOutput): void;
}

export interface DutyOutput {
  /**
   * Memory for an IP packet of `bytes` bytes, which is sent after the duty returns. It is longer than that and has old
   * contents: write every byte. undefined when the duty's reply limit is reached (that is counted): don't answer then.
   * The kernel fills the length and checksum of an IPv4 header; other checksums are the duty's.
   * @param bytes at most MAX_REPLY_BYTES
   */
  reply(family: 4 | 6, bytes: number): DataView | undefined;
  /**
   * As `reply`, but back on the way that `packet` came: by its device, to the neighbour who brought it, past routes and
   * output rules. Only for a packet that the kernel would answer on that way, too. What came without an Ethernet header is
   * answered by the routes. The checksum of an IPv4 header is the duty's.
   */
  replyBack(packet: LoggedPacket, family: 4 | 6, bytes: number): DataView | undefined;
  /** Something that the main thread must know: for decisions, not for every packet. Beyond a bound it is counted and dropped. */
  event(event: unknown): void;
}

export type CreateDuty = (spec: unknown) => PacketDuty;

export const MAX_REPLY_BYTES = 1_500;

/** A duty as the main thread asks for it. */
export interface DutySpec {
  /** In metrics and events. */
  readonly name: string;
  /** NFLOG group; a group has one duty. */
  readonly group: number;
  /** URL of the module that exports `createDuty`. */
  readonly module: string;
  /** For `createDuty`; crosses a thread as structured data. */
  readonly spec: unknown;
  /** Bytes of each packet that the duty looks at. */
  readonly copyBytes: number;
  /** Bound on the replies that it may send; absent: none. */
  readonly replies?: { readonly perSecond: number; readonly burst: number };
  /** Mark of its replies, by which rules know them; all duties that have one have the same. */
  readonly replyMark?: number;
}
