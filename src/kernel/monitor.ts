/**
 * Watches for transactions of others: a flush of the ruleset, a table, set or elements that somebody deletes. What this
 * process commits by netlink doesn't come back to it; what it loads through `nft` does, as the process that it is.
 */

import { PosternError } from '../errors.js';
import { type NetlinkMessage, readMessages } from '../wire/netlink.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import { NFT, NFTABLES_GROUP } from '../wire/nftables.js';
import { type EventObject, readEvent } from '../wire/nftables-events.js';
import { type Generation, readGeneration } from '../wire/nftables-generation.js';
import { type DatagramReader, watchSocket } from './socket-watch.js';

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
  /** Netlink port that asked for it: of a program with one socket its process id, as the program itself sees it. */
  readonly port: number;
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
  /** Doesn't listen until `resume`; the reader isn't told. */
  pause(): void;
  resume(): void;
  close(): void;
}

const RECEIVE_BUFFER_BYTES = 64 << 20;
/** Different things in one transaction; beyond, it is told as a resync. */
const MAX_CHANGES = 10_000;

/** @throws PosternError `not-found` (no such namespace), `system` (not permitted). */
export function openMonitor(reader: MonitorReader, options: MonitorOptions): Monitor {
  const { namespace, watches, receiveBufferBytes = RECEIVE_BUFFER_BYTES } = options;
  const commits = new CommitReader(reader, watches);
  const watch = watchSocket(
    {
      protocol: 'NETFILTER',
      ...(namespace === undefined ? {} : { namespace }),
      groups: [NFTABLES_GROUP],
      receiveBufferBytes,
      own: 'foreign',
    },
    commits,
  );
  return {
    get overflows() {
      return watch.losses;
    },
    pause: () => watch.leave(NFTABLES_GROUP),
    resume: () => watch.join(NFTABLES_GROUP),
    close: () => {
      commits.closed = true;
      watch.close();
    },
  };
}

/** Gathers events up to the generation that ends their transaction. */
class CommitReader implements DatagramReader {
  closed = false;
  #changes = new Map<string, ForeignChange>();

  constructor(
    private readonly reader: MonitorReader,
    private readonly watches: (table: string) => boolean,
  ) {}

  datagram(bytes: Buffer): void {
    for (const message of readMessages(bytes)) {
      if (message.type === NFT.NEWGEN) this.#commit({ ...readGeneration(message.body), port: message.port });
      else this.#take(message);
    }
  }

  lost(reason: string): void {
    this.#changes.clear();
    this.reader.resync(reason);
  }

  #take(message: NetlinkMessage): void {
    const event = readEvent(message);
    if (event === undefined) return;
    const table = `${familyName(event.family)} ${event.table}`;
    if (!this.watches(table)) return;
    const { op, object } = event;
    const path = event.name === undefined ? table : `${table} ${event.name}`;
    const key = `${op} ${object} ${path}`;
    const count = (this.#changes.get(key)?.count ?? 0) + 1;
    if (this.#changes.size >= MAX_CHANGES && count === 1) {
      throw new PosternError('full', 'a transaction of nf_tables has too many parts');
    }
    this.#changes.set(key, { op, object, path, count });
  }

  #commit(by: Omit<ForeignCommit, 'changes'>): void {
    if (this.#changes.size === 0) return;
    const changes = [...this.#changes.values()];
    this.#changes = new Map();
    // Not from here: what the reader throws is not a loss.
    queueMicrotask(() => {
      if (!this.closed) this.reader.commit({ ...by, changes });
    });
  }
}

const familyNames = new Map<number, string>(Object.entries(NFPROTO).map(([name, number]) => [number, name]));

function familyName(family: number): string {
  return familyNames.get(family) ?? String(family);
}
