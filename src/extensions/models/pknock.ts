/** What our pknock does with a packet, as a pure model: what the compiled rules and the daemon do together. */

import { type Address, formatAddress } from '../../net/address.js';
import { parsePrefix } from '../../net/prefix.js';
import type { KnockRecord } from '../../wire/pknock-proc.js';
import { spaMinute, verifySpa } from '../../wire/spa.js';

export interface KnockRule {
  readonly ports: readonly number[];
  readonly strict: boolean;
  /** Between two knocks; absent with secrets. */
  readonly timeMs?: number;
  readonly autocloseMs?: number;
  readonly secrets?: { readonly open: Buffer; readonly close: Buffer };
}

export interface KnockPacket {
  readonly source: Address;
  readonly protocol: number;
  readonly port: number;
  readonly payload?: Buffer;
}

interface Matching {
  /** Knocks so far. */
  readonly stage: number;
  readonly until: number;
  readonly protocol: 'TCP' | 'UDP';
}

interface Granted {
  readonly until: number;
  readonly count: number;
  readonly protocol: 'TCP' | 'UDP';
}

export type KnockEffect = 'none' | 'opened' | 'closed';

/** The records of one name. */
export class KnockModel {
  readonly #matching = new Map<string, Matching>();
  readonly #granted = new Map<string, Granted>();
  /** The minute of the last open of a source. */
  readonly #opened = new Map<string, number>();

  constructor(readonly rule: KnockRule) {}

  /** Whether `knock: NAME` holds for a packet of this source. */
  holds({ source, protocol }: KnockPacket, nowMs: number): boolean {
    return protocolName(protocol) !== undefined && this.#allowed(formatAddress(source), nowMs) !== undefined;
  }

  /** What a packet that comes in does. */
  packet(packet: KnockPacket, nowMs: number): KnockEffect {
    if (protocolName(packet.protocol) === undefined) return 'none';
    return this.rule.secrets === undefined ? this.#knock(packet, nowMs) : this.#datagram(packet, nowMs);
  }

  records(nowMs: number): KnockRecord[] {
    const records: KnockRecord[] = [];
    for (const [source, { stage, until, protocol }] of this.#matching) {
      if (nowMs > until) continue;
      records.push(record(source, protocol, 'MATCHING', stage, { expiresInS: (until - nowMs) / 1000 }));
    }
    for (const [source, { until, count, protocol }] of this.#granted) {
      if (nowMs > until) continue;
      const left = until === Number.POSITIVE_INFINITY ? {} : { autocloseInS: (until - nowMs) / 1000 };
      records.push(record(source, protocol, 'ALLOWED', count, left));
    }
    return records;
  }

  #knock({ source, protocol, port }: KnockPacket, nowMs: number): KnockEffect {
    const key = formatAddress(source);
    const { ports, strict, timeMs = 0 } = this.rule;
    if (this.#allowed(key, nowMs) !== undefined) return 'none';
    const found = this.#matching.get(key);
    const stage = found !== undefined && nowMs <= found.until ? found.stage : 0;
    if (port !== ports[stage]) {
      if (strict || stage === 0) this.#matching.delete(key);
      return 'none';
    }
    this.#matching.delete(key);
    if (stage + 1 === ports.length) return this.#open(key, protocolName(protocol)!, nowMs);
    this.#matching.set(key, { stage: stage + 1, until: nowMs + timeMs, protocol: protocolName(protocol)! });
    return 'none';
  }

  #datagram({ source, protocol, port, payload }: KnockPacket, nowMs: number): KnockEffect {
    const key = formatAddress(source);
    const { secrets, ports } = this.rule;
    if (protocolName(protocol) !== 'UDP' || port !== ports[0] || payload === undefined) return 'none';
    const minute = spaMinute(nowMs);
    if (this.#allowed(key, nowMs) !== undefined) {
      if (!verifySpa(payload, secrets!.close, source, minute)) return 'none';
      this.#granted.delete(key);
      return 'closed';
    }
    if (this.#opened.get(key) === minute || !verifySpa(payload, secrets!.open, source, minute)) return 'none';
    this.#opened.set(key, minute);
    return this.#open(key, 'UDP', nowMs);
  }

  #open(key: string, protocol: 'TCP' | 'UDP', nowMs: number): KnockEffect {
    const { autocloseMs = Number.POSITIVE_INFINITY, ports } = this.rule;
    this.#granted.set(key, { until: nowMs + autocloseMs, count: ports.length, protocol });
    return 'opened';
  }

  #allowed(key: string, nowMs: number): Granted | undefined {
    const granted = this.#granted.get(key);
    return granted !== undefined && nowMs <= granted.until ? granted : undefined;
  }
}

const protocolName = (protocol: number): 'TCP' | 'UDP' | undefined =>
  protocol === 6 ? 'TCP' : protocol === 17 ? 'UDP' : undefined;

const record = (
  source: string,
  protocol: 'TCP' | 'UDP',
  status: KnockRecord['status'],
  count: number,
  left: Pick<KnockRecord, 'expiresInS' | 'autocloseInS'>,
): KnockRecord => ({ source: parsePrefix(source), protocol, status, count, ...left });
