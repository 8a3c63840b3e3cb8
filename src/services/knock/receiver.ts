/**
 * From copies of knocks to grants. Nothing is answered. A signed datagram counts once: its digest is in the replay window
 * before the door opens, and since source and minute make the digest, a source opens a door once a minute.
 */

import type { Grant, Knocks } from '../../engine/knocks.js';
import { asPosternError } from '../../errors.js';
import { addressBits, formatAddress, type Prefix } from '../../net/address.js';
import { hostPrefix, prefixContains, prefixOf } from '../../net/prefix.js';
import type { ReplayWindow } from '../../store/store.js';
import { decodePacket, type Packet } from '../../wire/packet.js';
import { spaDigest, spaMinute, verifySpa } from '../../wire/spa.js';
import { decodeSpa2, encodeSpa2Reply, type Spa2Request, spa2KeyBytes, spa2Mark, verifySpa2 } from '../../wire/spa2.js';
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
  | {
      /** By `spa2ClientId` in hex. */
      readonly clients: ReadonlyMap<string, KnockClient>;
      /** Tell whoever has signed until when the door is open? */
      readonly reply: boolean;
    };

export interface KnockEffects {
  readonly knocks: Pick<Knocks, 'grant' | 'noticed' | 'revoke' | 'find'>;
  readonly window: ReplayWindow;
  readonly log: Pick<Log, 'warn'>;
  /** Sends a datagram back to where the packet came from. */
  readonly answer: (to: Packet, payload: Buffer) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Everything that can become of a copy. */
export const knockResults = [
  'sequence',
  'opened',
  /** A client's door was open: it is for what the client asks now, too. */
  'renewed',
  'closed',
  /** The source could come in already: nothing was changed. */
  'open',
  /** A good close, and nothing to close. */
  'shut',
  'replay',
  'bad',
  /** Well signed, but too old or from the future. */
  'clock',
  /** Well signed, for an address or a prefix that the client may not ask for. */
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
    else if (keys !== undefined) this.#receiveRequest(name, packet, keys);
  }

  #receiveRequest(name: string, packet: Packet, { clients, reply }: ClientKeys): void {
    const bytes = Buffer.from(packet.payload);
    const request = decodeSpa2(bytes);
    const client = request && clients.get(request.client.toString('hex'));
    // Somebody unknown takes as long as a wrong key.
    const isGood = verifySpa2(bytes, client?.key ?? noKey, name);
    if (request === undefined || client === undefined || !isGood) this.#refuse(name, 'bad', packet);
    else if (Math.abs(request.madeAt - this.effects.now()) > clockMs) {
      this.#refuse(name, 'clock', packet, `the clock of ${client.name} is more than ${clockMs / 1000} s off`);
    } else {
      const source = sourceOf(request, packet);
      if (!client.anyAddress && (source === undefined || !prefixContains(source, packet.source))) {
        this.#refuse(name, 'address', packet, `${client.name} may not ask for an address that it doesn't send from`);
      } else if (source === undefined)
        this.#refuse(name, 'address', packet, `${client.name} asks for a longer prefix than its addresses are`);
      else this.#enqueue(name, packet, () => this.#request({ name, packet, source, request, client, reply }, bytes));
    }
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
        else if (result !== 'address') this.#count(name, result);
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
    const host = hostPrefix(source);
    const isOpen = (await knocks.find(name, host)) !== undefined;
    if (isOpen === opens) return opens ? 'open' : 'shut';
    const mark = Buffer.from(spaDigest(opens ? secrets.open : secrets.close, source, minute), 'hex');
    const valid = { from: minute * minuteMs, until: (minute + 1) * minuteMs };
    if (!(await window.admit(mark, valid))) return 'replay';
    if (opens) await knocks.grant(name, host);
    else await knocks.revoke(name, host, { kind: 'knock', id: formatAddress(source) });
    return opens ? 'opened' : 'closed';
  }

  async #request(asked: Asked, bytes: Buffer): Promise<KnockResult> {
    const { name, source, request, client } = asked;
    const { knocks, window } = this.effects;
    const valid = { from: request.madeAt - clockMs, until: request.madeAt + clockMs + 1 };
    if (!(await window.admit(spa2Mark(bytes), valid))) return 'replay';
    const before = await knocks.find(name, source);
    if (request.what === 'close') {
      if (before !== undefined) await knocks.revoke(name, source, { kind: 'knock', id: client.name });
      this.#answer(asked);
      return before === undefined ? 'shut' : 'closed';
    }
    const grant = await this.#grant(asked);
    if (grant === undefined) return 'address';
    this.#answer(asked, grant);
    return before === undefined ? 'opened' : 'renewed';
  }

  /** Undefined: the policy doesn't let in such a prefix. */
  async #grant({ name, packet, source, request, client }: Asked): Promise<Grant | undefined> {
    const most = Math.min(request.seconds || Number.POSITIVE_INFINITY, client.mostSeconds ?? Number.POSITIVE_INFINITY);
    const durationMs = Number.isFinite(most) ? { durationMs: most * 1000 } : {};
    const ports = client.ports === undefined ? {} : { ports: client.ports };
    try {
      return await this.effects.knocks.grant(name, source, {
        by: 'spa2',
        client: client.name,
        ...ports,
        ...durationMs,
      });
    } catch (error) {
      if (asPosternError(error).code !== 'forbidden') throw error;
      this.#refuse(name, 'address', packet, `${client.name}: ${asPosternError(error).message}`);
      return undefined;
    }
  }

  #answer({ name, packet, request, client, reply }: Asked, grant?: Grant): void {
    if (!reply) return;
    const until = grant?.until === undefined ? {} : { until: Math.floor(grant.until) };
    const what = grant === undefined ? 'closed' : 'open';
    this.effects.answer(packet, encodeSpa2Reply({ what, nonce: request.nonce, ...until }, client.key, name));
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

type ClientKeys = Extract<KnockKeys, { readonly clients: unknown }>;

/** A request that its client has signed, at the right time. */
interface Asked {
  readonly name: string;
  readonly packet: Packet;
  /** Who shall come in. */
  readonly source: Prefix;
  readonly request: Spa2Request;
  readonly client: KnockClient;
  readonly reply: boolean;
}

/** Undefined when the prefix is longer than addresses of the packet's family are. */
function sourceOf({ address, prefixLength }: Spa2Request, packet: Packet): Prefix | undefined {
  const around = address ?? packet.source;
  if (prefixLength === undefined) return hostPrefix(around);
  return prefixLength > addressBits(around.family) ? undefined : prefixOf(around, prefixLength);
}

const noKey = Buffer.alloc(spa2KeyBytes);

function decoded(bytes: Uint8Array): Packet | undefined {
  try {
    return decodePacket(bytes);
  } catch {
    return undefined;
  }
}
