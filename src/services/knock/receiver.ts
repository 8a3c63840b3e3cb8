/**
 * From copies of knocks to grants. Nothing is answered. A signed datagram counts once: its digest is in the replay window
 * before the door opens, and since source and minute make the digest, a source opens a door once a minute.
 */

import type { Knocks } from '../../engine/knocks.js';
import { asPosternError } from '../../errors.js';
import { type Address, formatAddress } from '../../net/address.js';
import type { ReplayWindow } from '../../store/store.js';
import { decodePacket, type Packet } from '../../wire/packet.js';
import { spaDigest, spaMinute, verifySpa } from '../../wire/spa.js';
import { decodeSpa2, type Spa2Request, spa2KeyBytes, spa2Mark, verifySpa2 } from '../../wire/spa2.js';
import { LineLimit } from '../line-limit.js';
import type { Log } from '../service.js';
import type { KnockClient } from './clients.js';

export interface KnockSecrets {
  readonly open: Buffer;
  readonly close: Buffer;
}

/** What the datagrams of a knock are signed with. */
export type KnockKeys =
  | { readonly secrets: KnockSecrets }
  /** By `spa2ClientId` in hex. */
  | { readonly clients: ReadonlyMap<string, KnockClient> };

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
  /** Well signed, but too old or from the future. */
  'clock',
  /** Well signed, for an address that the client may not ask for. */
  'address',
  'malformed',
  'busy',
  'failed',
] as const;
export type KnockResult = (typeof knockResults)[number];

/** Copies that may wait; the kernel's limit lets through less than this in a second. */
const waitingBound = 4096;
const minuteMs = 60_000;
/** How far the clock of a client may be off. */
const clockMs = 60_000;

export class KnockReceiver {
  readonly #counts = new Map<string, Map<KnockResult, number>>();
  readonly #limits = new Map<KnockResult, LineLimit>();
  #waiting = 0;
  #turn: Promise<void> = Promise.resolve();

  /** @param keys by knock */
  constructor(
    readonly keys: ReadonlyMap<string, KnockKeys>,
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
    const keys = this.keys.get(name);
    if (packet === undefined) this.#count(name, 'malformed');
    else if (kind === 'knock') this.#enqueue(name, packet, () => this.#sequence(name, packet));
    else if (keys !== undefined && 'secrets' in keys) this.#receiveDatagram(name, packet, keys.secrets);
    else if (keys !== undefined) this.#receiveRequest(name, packet, keys.clients);
  }

  #receiveRequest(name: string, packet: Packet, clients: ReadonlyMap<string, KnockClient>): void {
    const bytes = Buffer.from(packet.payload);
    const request = decodeSpa2(bytes);
    const client = request && clients.get(request.client.toString('hex'));
    // Somebody unknown takes as long as a wrong key.
    const isGood = verifySpa2(bytes, client?.key ?? noKey, name);
    if (request === undefined || client === undefined || !isGood) this.#refuse(name, 'bad', packet);
    else if (Math.abs(request.madeAt - this.effects.now()) > clockMs) this.#refuse(name, 'clock', packet, client.name);
    else if (request.address !== undefined && !client.anyAddress) this.#refuse(name, 'address', packet, client.name);
    else
      this.#enqueue(name, packet, () => this.#request(name, request.address ?? packet.source, request, client, bytes));
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

  async #request(
    name: string,
    address: Address,
    { what, madeAt, seconds }: Spa2Request,
    client: KnockClient,
    bytes: Buffer,
  ): Promise<KnockResult> {
    const { knocks, window } = this.effects;
    const valid = { from: madeAt - clockMs, until: madeAt + clockMs + 1 };
    if (!(await window.admit(spa2Mark(bytes), valid))) return 'replay';
    const isOpen = await knocks.has(name, address);
    if (isOpen === (what === 'open')) return isOpen ? 'open' : 'shut';
    if (what === 'close') {
      await knocks.revoke(name, address, { kind: 'knock', id: client.name });
      return 'closed';
    }
    const most = Math.min(
      seconds === 0 ? Number.POSITIVE_INFINITY : seconds,
      client.mostSeconds ?? Number.POSITIVE_INFINITY,
    );
    const durationMs = Number.isFinite(most) ? { durationMs: most * 1000 } : {};
    await knocks.grant(name, address, { by: 'spa2', client: client.name, ...durationMs });
    return 'opened';
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

const noKey = Buffer.alloc(spa2KeyBytes);

function decoded(bytes: Uint8Array): Packet | undefined {
  try {
    return decodePacket(bytes);
  } catch {
    return undefined;
  }
}
