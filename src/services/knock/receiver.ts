/**
 * From copies of knocks to grants. Nothing is answered. A signed datagram counts once: its digest is in the replay window
 * before the door opens, and since source and minute make the digest, a source opens a door once a minute.
 */

import type { Knocks } from '../../engine/knocks.js';
import { asPosternError } from '../../errors.js';
import { formatAddress } from '../../net/address.js';
import type { ReplayWindow } from '../../store/store.js';
import { decodePacket, type Packet } from '../../wire/packet.js';
import { spaDigest, spaMinute, verifySpa } from '../../wire/spa.js';
import { LineLimit } from '../line-limit.js';
import type { Log } from '../service.js';

export interface KnockSecrets {
  readonly open: Buffer;
  readonly close: Buffer;
}

export interface KnockEffects {
  readonly knocks: Pick<Knocks, 'grant' | 'noticed' | 'revoke' | 'has'>;
  readonly window: ReplayWindow;
  readonly log: Pick<Log, 'warn'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Everything that can become of a copy. */
export const knockResults = [
  'sequence',
  'opened',
  'closed',
  /** The source could come in already: nothing was changed. */
  'open',
  /** A good close, and nothing to close. */
  'shut',
  'replay',
  'bad',
  'malformed',
  'busy',
  'failed',
] as const;
export type KnockResult = (typeof knockResults)[number];

/** Copies that may wait; the kernel's limit lets through less than this in a second. */
const waitingBound = 4096;
const minuteMs = 60_000;

export class KnockReceiver {
  readonly #counts = new Map<string, Map<KnockResult, number>>();
  readonly #limits = new Map<KnockResult, LineLimit>();
  #waiting = 0;
  #turn: Promise<void> = Promise.resolve();

  /** @param secrets by knock */
  constructor(
    readonly secrets: ReadonlyMap<string, KnockSecrets>,
    readonly effects: KnockEffects,
  ) {}

  /** By knock, then by result. */
  get counts(): ReadonlyMap<string, ReadonlyMap<KnockResult, number>> {
    return this.#counts;
  }

  /** Takes a copy in. Never throws. */
  receive(prefix: string, bytes: Uint8Array): void {
    const [kind, name] = prefix.split(':', 2) as [string, string | undefined];
    if (name === undefined) return;
    const packet = decoded(bytes);
    const secrets = this.secrets.get(name);
    if (packet === undefined) this.#count(name, 'malformed');
    else if (kind === 'knock') this.#enqueue(name, packet, () => this.#sequence(name, packet));
    else if (kind === 'spa' && secrets !== undefined) this.#receiveDatagram(name, packet, secrets);
  }

  #receiveDatagram(name: string, packet: Packet, secrets: KnockSecrets): void {
    const minute = spaMinute(this.effects.now());
    const payload = Buffer.from(packet.payload);
    // Both are compared, so that time doesn't tell which secret a datagram was made with.
    const opens = verifySpa(payload, secrets.open, packet.source, minute);
    const closes = verifySpa(payload, secrets.close, packet.source, minute);
    if (opens || closes) this.#enqueue(name, packet, () => this.#datagram(name, packet, secrets, minute, opens));
    else this.#refuse(name, 'bad', packet);
  }

  /** Settles when everything that was taken in is done. */
  settled(): Promise<void> {
    return this.#turn;
  }

  #enqueue(name: string, packet: Packet, work: () => Promise<KnockResult>): void {
    if (this.#waiting >= waitingBound) {
      this.#refuse(name, 'busy', packet);
      return;
    }
    this.#waiting++;
    this.#turn = this.#turn.then(async () => {
      try {
        const result = await work();
        if (result === 'replay') this.#refuse(name, result, packet);
        else this.#count(name, result);
      } catch (error) {
        this.#refuse(
          name,
          asPosternError(error).code === 'busy' ? 'busy' : 'failed',
          packet,
          asPosternError(error).message,
        );
      }
      this.#waiting--;
    });
  }

  async #sequence(name: string, { source }: Packet): Promise<KnockResult> {
    await this.effects.knocks.noticed(name, source);
    return 'sequence';
  }

  async #datagram(
    name: string,
    { source }: Packet,
    secrets: KnockSecrets,
    minute: number,
    opens: boolean,
  ): Promise<KnockResult> {
    const { knocks, window } = this.effects;
    const isOpen = await knocks.has(name, source);
    if (isOpen === opens) return opens ? 'open' : 'shut';
    const mark = Buffer.from(spaDigest(opens ? secrets.open : secrets.close, source, minute), 'hex');
    const valid = { from: minute * minuteMs, until: (minute + 1) * minuteMs };
    if (!(await window.admit(mark, valid))) return 'replay';
    if (opens) await knocks.grant(name, source);
    else await knocks.revoke(name, source, { kind: 'knock', id: formatAddress(source) });
    return opens ? 'opened' : 'closed';
  }

  #refuse(name: string, result: KnockResult, { source }: Packet, detail?: string): void {
    this.#count(name, result);
    const limit = this.#limits.get(result) ?? new LineLimit();
    this.#limits.set(result, limit);
    const heldBack = limit.pass(this.effects.now());
    if (heldBack === undefined) return;
    const more = heldBack === 0 ? '' : ` (and ${heldBack} more like it)`;
    const peer = formatAddress(source);
    this.effects.log.warn(`knock ${name}: refused ${peer}: ${detail ?? result}${more}`, { knock: name, result, peer });
  }

  #count(name: string, result: KnockResult): void {
    const counts = this.#counts.get(name) ?? new Map<KnockResult, number>();
    this.#counts.set(name, counts);
    counts.set(result, (counts.get(result) ?? 0) + 1);
  }
}

function decoded(bytes: Uint8Array): Packet | undefined {
  try {
    return decodePacket(bytes);
  } catch {
    return undefined;
  }
}
