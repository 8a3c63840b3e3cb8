/** Runs one duty: its limits, its counters, and how its group is batched. Pure but for the sender it is given. */

import type { LoggedPacket } from '../wire/nflog.js';
import type { DutyOutput, DutySpec, PacketDuty } from './packet-duty.js';
import { MAX_REPLY_BYTES } from './packet-duty.js';
import { COUNTERS, type CounterName } from './packet-messages.js';
import type { RawSender } from './raw-sender.js';
import { TokenBucket } from './token-bucket.js';

/** What a duty's replies go to. */
export type ReplySender = Pick<RawSender, 'slot' | 'slotBack' | 'note' | 'takeBack'>;

/** Packets of a group share datagrams above the first rate, and stop to below the second. */
const BATCH_ABOVE_PER_SECOND = 20_000;
const SINGLE_BELOW_PER_SECOND = 10_000;
const BATCHED = 64;
const RATE_WINDOW_MS = 100;
/** Events of one duty that may wait for the main thread. */
const MAX_EVENTS = 1_000;
/** A sequence number this far ahead is one that came late. */
const HALF_RANGE = 0x8000_0000;

const column = Object.fromEntries(COUNTERS.map((name, index) => [name, index])) as Readonly<
  Record<CounterName, number>
>;

export class DutyRunner implements DutyOutput {
  #events: unknown[] = [];
  #expected: number | undefined;
  #windowStartMs = 0;
  #windowPackets = 0;
  #threshold = 1;
  #nowMs = 0;
  readonly #bucket: TokenBucket | undefined;

  /** @param row this duty's counters, in the order of COUNTERS */
  constructor(
    readonly spec: DutySpec,
    private readonly duty: PacketDuty,
    private readonly row: Float64Array,
    private readonly sender: ReplySender,
  ) {
    const { replies } = spec;
    this.#bucket = replies && new TokenBucket(replies.perSecond, replies.burst);
    row[column.threshold] = this.#threshold;
  }

  packet(packet: LoggedPacket, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#windowPackets++;
    this.#add(column.packets, 1);
    this.#add(column.bytes, packet.payloadBytes);
    this.#countLoss(packet.sequence);
    this.sender.note();
    try {
      this.duty.packet(packet, this, nowMs);
    } catch {
      this.#failed();
    }
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.sender.note();
    try {
      this.duty.tick?.(nowMs, this);
    } catch {
      this.#failed();
    }
  }

  reply(family: 4 | 6, bytes: number): DataView | undefined {
    return this.#mayReply(family, bytes) ? this.sender.slot(family, bytes) : undefined;
  }

  replyBack(packet: LoggedPacket, family: 4 | 6, bytes: number): DataView | undefined {
    if (packet.frameFrom === 0) return this.reply(family, bytes);
    return this.#mayReply(family, bytes) ? this.sender.slotBack(family, bytes, packet) : undefined;
  }

  #mayReply(family: 4 | 6, bytes: number): boolean {
    if (bytes > MAX_REPLY_BYTES || bytes < (family === 4 ? 20 : 40)) throw new RangeError(`a reply of ${bytes} bytes`);
    const may = this.#bucket?.take(this.#nowMs) === true;
    this.#add(may ? column.replies : column.limited, 1);
    return may;
  }

  event(event: unknown): void {
    if (this.#events.length >= MAX_EVENTS) {
      this.#add(column.eventsDropped, 1);
      return;
    }
    this.#add(column.events, 1);
    this.#events.push(event);
  }

  /** Events since the last call. */
  takeEvents(): readonly unknown[] {
    if (this.#events.length === 0) return this.#events;
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** The group was bound anew: its sequence numbers start again. */
  rebound(): void {
    this.#expected = undefined;
    this.#threshold = 1;
    this.row[column.threshold] = 1;
  }

  /** How many packets of the group should share a datagram, when that has changed. */
  newThreshold(nowMs: number): number | undefined {
    const elapsedMs = nowMs - this.#windowStartMs;
    if (elapsedMs < RATE_WINDOW_MS) return undefined;
    const perSecond = (this.#windowPackets * 1000) / elapsedMs;
    this.#windowStartMs = nowMs;
    this.#windowPackets = 0;
    const wanted =
      perSecond > BATCH_ABOVE_PER_SECOND ? BATCHED : perSecond < SINGLE_BELOW_PER_SECOND ? 1 : this.#threshold;
    if (wanted === this.#threshold) return undefined;
    this.#threshold = wanted;
    this.row[column.threshold] = wanted;
    return wanted;
  }

  /** A duty that fails on a packet has not answered it; the next packet is another chance. */
  #failed(): void {
    this.sender.takeBack();
    this.#add(column.failures, 1);
  }

  #countLoss(sequence: number): void {
    if (this.#expected !== undefined) {
      const gap = (sequence - this.#expected) >>> 0;
      if (gap >= HALF_RANGE) return;
      this.#add(column.lost, gap);
    }
    this.#expected = (sequence + 1) >>> 0;
  }

  #add(at: number, count: number): void {
    this.row[at] = (this.row[at] as number) + count;
  }
}
