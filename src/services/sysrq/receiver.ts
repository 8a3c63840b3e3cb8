/**
 * From copies of SYSRQ requests to keys. The new sequence number is on disk, and the request in the audit log, before the
 * first key takes effect. Every request is in the log with what became of it; no line tells a right digest.
 */

import { asPosternError } from '../../errors.js';
import { formatAddress } from '../../net/address.js';
import type { Sequence } from '../../store/store.js';
import { decodePacket, type Packet } from '../../wire/packet.js';
import type { SysrqSecret } from '../../wire/sysrq.js';
import { type SysrqRefusal, verifySysrq } from './verify.js';

export interface SysrqRules {
  readonly secret: Omit<SysrqSecret, 'destination'>;
  /** Is the destination part of what is signed? */
  readonly signsAddress: boolean;
  /** Keys that are carried out. */
  readonly keys: string;
}

/** What became of a request; `accepted`: its keys are about to be pressed, after which nothing may be left to tell. */
export type SysrqResult = 'accepted' | 'done' | 'dry-run' | SysrqRefusal | 'key' | 'failed' | 'busy';

export interface SysrqReport {
  readonly source: string;
  readonly result: SysrqResult;
  /** Of a request with a good digest. */
  readonly keys?: string;
  readonly sequence?: string;
  readonly detail?: string;
}

export interface SysrqEffects {
  readonly sequence: Sequence;
  /** The number that a request has to exceed when none was taken yet. */
  readonly firstSequence: bigint;
  /** Carries out one key; absent: only the report says what would be done. */
  readonly press?: (key: string) => Promise<void>;
  readonly report: (report: SysrqReport) => Promise<void>;
}

/** Requests that may wait; the kernel lets through fewer in a minute. */
const waitingBound = 64;

export class SysrqReceiver {
  readonly counts = new Map<SysrqResult, number>();
  #waiting = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(
    readonly rules: SysrqRules,
    readonly effects: SysrqEffects,
  ) {}

  /** Takes the copy of a request in. Never throws. */
  receive(bytes: Uint8Array): void {
    const packet = decoded(bytes);
    const source = packet === undefined ? 'unknown' : formatAddress(packet.source);
    if (this.#waiting >= waitingBound) {
      this.#count('busy');
      void this.effects.report({ source, result: 'busy' });
      return;
    }
    this.#waiting++;
    this.#turn = this.#turn.then(async () => {
      const outcome = packet === undefined ? { result: 'malformed' as const } : await this.#decide(packet, source);
      this.#count(outcome.result);
      await this.effects.report({ source, ...outcome });
      this.#waiting--;
    });
  }

  /** Settles when everything that was taken in is done. */
  settled(): Promise<void> {
    return this.#turn;
  }

  async #decide(packet: Packet, source: string): Promise<Omit<SysrqReport, 'source'>> {
    const { sequence, firstSequence } = this.effects;
    const { secret, signsAddress } = this.rules;
    const signed = signsAddress ? { ...secret, destination: packet.destination } : secret;
    const verdict = verifySysrq(Buffer.from(packet.payload), signed, sequence.current ?? firstSequence);
    if (!verdict.accepted) return { result: verdict.refusal };
    const facts = { keys: verdict.keys.toString('latin1'), sequence: String(verdict.sequence) };
    try {
      if (!(await sequence.advance(verdict.sequence))) return { result: 'replayed', ...facts };
      return { result: await this.#press({ source, ...facts }), ...facts };
    } catch (error) {
      return { result: 'failed', ...facts, detail: asPosternError(error).message };
    }
  }

  /** All keys or none. */
  async #press(facts: Omit<SysrqReport, 'result'> & { readonly keys: string }): Promise<SysrqResult> {
    const { press, report } = this.effects;
    const { keys } = facts;
    if ([...keys].some((key) => !this.rules.keys.includes(key))) return 'key';
    if (press === undefined) return 'dry-run';
    await report({ ...facts, result: 'accepted' });
    for (const key of keys) await press(key);
    return 'done';
  }

  #count(result: SysrqResult): void {
    this.counts.set(result, (this.counts.get(result) ?? 0) + 1);
  }
}

function decoded(bytes: Uint8Array): Packet | undefined {
  try {
    return decodePacket(bytes);
  } catch {
    return undefined;
  }
}
