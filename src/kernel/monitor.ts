/**
 * Watches for transactions of others: a flush of the ruleset, a table, set or elements that somebody deletes. What this
 * process commits by netlink doesn't come back to it; what it loads through `nft` does, as the process that it is.
 */

import koffi from 'koffi';
import { asPosternError, PosternError } from '../errors.js';
import { type NetlinkMessage, readMessages } from '../wire/netlink.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import { NFT, NFTABLES_GROUP } from '../wire/nftables.js';
import { type EventObject, readEvent } from '../wire/nftables-events.js';
import { type Generation, readGeneration } from '../wire/nftables-generation.js';
import { fixedBuffer } from './layouts.js';
import { type NlSocket, openNlSocket } from './nl-socket.js';

/** How often one thing was added or deleted by a transaction. */
export interface ForeignChange {
  readonly op: 'new' | 'delete';
  readonly object: EventObject;
  /** `family table`, or `family table name` of a chain, set, object or flowtable. */
  readonly path: string;
  readonly count: number;
}

/** One transaction of another process. */
export interface ForeignCommit extends Generation {
  readonly changes: readonly ForeignChange[];
}

export interface MonitorReader {
  /** A transaction touched one of the watched tables. */
  commit(commit: ForeignCommit): void;
  /** Events were lost, or could not be read: anything may have changed. */
  resync(reason: string): void;
}

export interface MonitorOptions {
  readonly namespace?: string;
  /** `family name` of the tables to watch; asked for each transaction. */
  readonly watches: (table: string) => boolean;
  /** Room for the events of one transaction: some 500,000 elements. */
  readonly receiveBufferBytes?: number;
}

export interface Monitor {
  /** Times that events were lost. */
  readonly overflows: number;
  close(): void;
}

const RECEIVE_BUFFER_BYTES = 64 << 20;
/** nf_tables joins events into datagrams of a few kilobytes; one rule can be longer. */
const DATAGRAM_BYTES = 65_536;
/** Datagrams read before the event loop gets its turn: about a millisecond's work. */
const DATAGRAMS_A_TURN = 64;
/** Different things in one transaction; beyond, it is told as a resync. */
const MAX_CHANGES = 10_000;

/** @throws PosternError `not-found` (no such namespace), `system` (not permitted). */
export function openMonitor(reader: MonitorReader, options: MonitorOptions): Monitor {
  const { namespace, receiveBufferBytes = RECEIVE_BUFFER_BYTES } = options;
  const socket = openNlSocket({
    protocol: 'NETFILTER',
    ...(namespace === undefined ? {} : { namespace }),
    groups: [NFTABLES_GROUP],
    receiveBufferBytes,
    // An error on the socket would end the event loop's watch over it; the count of drops tells the same.
    silentOverflow: true,
    own: 'foreign',
  });
  return new SocketMonitor(socket, reader, options.watches);
}

class SocketMonitor implements Monitor {
  overflows = 0;
  readonly #buffer = fixedBuffer(DATAGRAM_BYTES);
  readonly #poll: ReturnType<typeof koffi.node.poll>;
  #changes = new Map<string, ForeignChange>();
  #dropped = 0;
  #closed = false;

  constructor(
    private readonly socket: NlSocket,
    private readonly reader: MonitorReader,
    private readonly watches: (table: string) => boolean,
  ) {
    this.#poll = koffi.node.poll(socket.fd, { readable: true }, () => this.#turn());
    this.#poll.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll.stop();
    this.#poll.close();
    this.socket.close();
  }

  #turn(): void {
    try {
      this.#checkLoss();
      for (let datagrams = 0; datagrams < DATAGRAMS_A_TURN && !this.#closed; datagrams++) {
        const bytes = this.socket.receive(this.#buffer);
        if (bytes < 0) return;
        for (const message of readMessages(this.#buffer.subarray(0, bytes))) this.#take(message);
      }
    } catch (error) {
      this.#lost(asPosternError(error).message);
    }
  }

  #checkLoss(): void {
    const dropped = this.socket.dropped();
    if (dropped === this.#dropped) return;
    this.#dropped = dropped;
    this.#lost('events of nf_tables were lost: the receive buffer was full');
  }

  #lost(reason: string): void {
    this.overflows++;
    this.#changes.clear();
    // Not from here: an exception of the reader must not pass through the native callback.
    queueMicrotask(() => this.reader.resync(reason));
  }

  #take(message: NetlinkMessage): void {
    if (message.type === NFT.NEWGEN) this.#commit(readGeneration(message.body));
    const event = readEvent(message);
    if (event === undefined) return;
    const table = `${familyName(event.family)} ${event.table}`;
    if (!this.watches(table)) return;
    const { op, object } = event;
    const path = event.name === undefined ? table : `${table} ${event.name}`;
    const key = `${op} ${object} ${path}`;
    const count = (this.#changes.get(key)?.count ?? 0) + 1;
    if (this.#changes.size >= MAX_CHANGES && count === 1)
      throw new PosternError('full', 'a transaction of too many parts');
    this.#changes.set(key, { op, object, path, count });
  }

  #commit(generation: Generation): void {
    if (this.#changes.size === 0) return;
    const changes = [...this.#changes.values()];
    this.#changes = new Map();
    queueMicrotask(() => this.reader.commit({ ...generation, changes }));
  }
}

const familyNames = new Map<number, string>(Object.entries(NFPROTO).map(([name, number]) => [number, name]));

function familyName(family: number): string {
  return familyNames.get(family) ?? String(family);
}
