/**
 * The exact port scan scorer: decides packet by packet as xt_psd 3.x does, with its host table, buckets and port lists,
 * less its 8-bit weight. Memory is bounded by the host table; the oldest host makes room.
 *
 * A source is remembered while it probes with gaps of at most the delay. Each new (protocol, port) adds its weight;
 * from the threshold on every further new port matches.
 */

import type { Address } from '../../net/address.js';

export interface PsdLimits {
  readonly weightThreshold: number;
  readonly delayMs: number;
  /** Weight of ports below 1024. */
  readonly loPortsWeight: number;
  readonly hiPortsWeight: number;
}

export interface PsdBounds {
  /** Hosts remembered at a time; xt_psd has 256. */
  readonly hosts: number;
}

export interface Probe {
  readonly source: Address;
  /** 6 TCP, 17 UDP, 136 UDP-Lite; others are never a probe. */
  readonly protocol: number;
  readonly destinationPort: number;
  /** As in the TCP header; 0 for UDP. */
  readonly tcpFlags: number;
  /** In 8-byte units, as in the IP header. */
  readonly fragmentOffset: number;
}

interface Host {
  readonly source: Address;
  readonly bucket: Host[];
  seenAtMs: number;
  weight: number;
  /** `protocol << 16 | port`. */
  readonly ports: number[];
}

const portsPerHost = 20;
const hostsPerBucket = 16;
const rst = 0x04;
const ack = 0x10;

/** The state of one `psd` match; feed it the probes in the order of their arrival. */
export class PsdScorer {
  /** Ring of hosts; the next new one takes the place of the one that came first. */
  readonly #ring: (Host | undefined)[];
  readonly #buckets: Host[][];
  #next = 0;
  #evicted = 0;

  constructor(
    readonly limits: PsdLimits,
    bounds: PsdBounds = { hosts: 65_536 },
  ) {
    this.#ring = new Array<Host | undefined>(bounds.hosts);
    const buckets = 2 ** Math.ceil(Math.log2(bounds.hosts * 2));
    this.#buckets = Array.from({ length: buckets }, () => []);
  }

  /** Hosts that were forgotten before their delay had run out, for want of room. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Whether this packet is part of a scan. `nowMs` may come from any clock that doesn't go back. */
  isScan(probe: Probe, nowMs: number): boolean {
    if (!isProbe(probe)) return false;
    const bucket = this.#bucketOf(probe.source);
    const host = bucket.find((known) => sameAddress(known.source, probe.source));
    if (host === undefined) return this.#meet(bucket, probe, nowMs);
    if (nowMs - host.seenAtMs <= this.limits.delayMs) return this.#score(host, probe, nowMs);
    remove(bucket, host);
    return this.#meet(bucket, probe, nowMs);
  }

  #score(host: Host, probe: Probe, nowMs: number): boolean {
    const port = portKey(probe);
    if (host.ports.includes(port)) return false;
    if ((probe.tcpFlags & (ack | rst)) !== 0 && probe.protocol === 6) return false;
    host.seenAtMs = nowMs;
    if (host.weight >= this.limits.weightThreshold) return true;
    host.weight += this.#weightOf(probe);
    if (host.weight >= this.limits.weightThreshold) return true;
    if (host.ports.length < portsPerHost) host.ports.push(port);
    return false;
  }

  /** A first packet never matches, and one that answers something (ACK) isn't remembered. */
  #meet(bucket: Host[], probe: Probe, nowMs: number): false {
    if (probe.protocol === 6 && (probe.tcpFlags & ack) !== 0) return false;
    if (bucket.length >= hostsPerBucket) bucket.pop();
    this.#forgetOldest(nowMs);
    const host: Host = {
      source: probe.source,
      bucket,
      seenAtMs: nowMs,
      weight: this.#weightOf(probe),
      ports: [portKey(probe)],
    };
    bucket.unshift(host);
    this.#ring[this.#next] = host;
    this.#next = (this.#next + 1) % this.#ring.length;
    return false;
  }

  #forgetOldest(nowMs: number): void {
    const oldest = this.#ring[this.#next];
    if (oldest === undefined || !remove(oldest.bucket, oldest)) return;
    if (nowMs - oldest.seenAtMs <= this.limits.delayMs) this.#evicted += 1;
  }

  #weightOf(probe: Probe): number {
    return probe.destinationPort < 1024 ? this.limits.loPortsWeight : this.limits.hiPortsWeight;
  }

  #bucketOf(source: Address): Host[] {
    return this.#buckets[foldedHash(source) & (this.#buckets.length - 1)]!;
  }
}

function isProbe(probe: Probe): boolean {
  const scannable = probe.protocol === 6 || probe.protocol === 17 || probe.protocol === 136;
  return scannable && probe.fragmentOffset === 0 && probe.source.value !== 0n;
}

function portKey(probe: Probe): number {
  return (probe.protocol << 16) | probe.destinationPort;
}

function sameAddress(a: Address, b: Address): boolean {
  return a.value === b.value && a.family === b.family;
}

function remove(bucket: Host[], host: Host): boolean {
  const at = bucket.indexOf(host);
  if (at >= 0) bucket.splice(at, 1);
  return at >= 0;
}

/** xt_psd folds the address word as a little-endian machine stores it; IPv6 words are folded into one first. */
function foldedHash({ family, value }: Address): number {
  let word = 0;
  for (let rest = value, words = family === 4 ? 1 : 4; words > 0; words -= 1, rest >>= 32n) {
    word ^= Number(BigInt.asIntN(32, rest));
  }
  const swapped = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
  return (swapped ^ (swapped >>> 9) ^ (swapped >>> 18) ^ (swapped >>> 27)) >>> 0;
}
