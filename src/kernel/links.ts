/** The host's links with their flags, MACs and addresses, kept up to date by rtnetlink. */

import { setTimeout } from 'node:timers/promises';
import { formatAddress } from '../net/address.js';
import { MessageWriter, type NetlinkMessage, readMessages } from '../wire/netlink.js';
import {
  type AddressMessage,
  LINK_GROUPS,
  type LinkMessage,
  readLinkMessage,
  writeLinkRequest,
} from '../wire/rtnetlink.js';
import { openNlSocket } from './nl-socket.js';
import { SocketExchange } from './socket-exchange.js';
import { watchSocket } from './socket-watch.js';

export type LinkAddress = Omit<AddressMessage, 'kind' | 'op' | 'index'>;

type Named = Omit<LinkMessage, 'kind' | 'op'>;

export interface Link extends Named {
  readonly addresses: readonly LinkAddress[];
}

export interface Links {
  /** By name, as they are now. */
  current(): ReadonlyMap<string, Link>;
  /** Times that events were lost and everything was read anew. */
  readonly losses: number;
  close(): void;
}

export interface LinksOptions {
  readonly namespace?: string;
  /** Called after a burst of changes, when something is different. */
  readonly changed: (links: ReadonlyMap<string, Link>) => void;
  readonly receiveBufferBytes?: number;
}

const RECEIVE_BUFFER_BYTES = 4 << 20;
const RETRY_MS = 100;
/** Some 10,000 links with ten addresses each. */
const BOUNDS = { maxDatagrams: 5_000, timeoutMs: 10_000 };

/**
 * Reads all links, then follows their changes.
 * @throws PosternError `not-found` (no such namespace), `system` (not permitted).
 */
export async function openLinks(options: LinksOptions): Promise<Links> {
  const { namespace, receiveBufferBytes = RECEIVE_BUFFER_BYTES } = options;
  const where = { protocol: 'ROUTE', ...(namespace === undefined ? {} : { namespace }) } as const;
  const state = new LinkState(options.changed);
  const read = () => readAll(new SocketExchange(() => openNlSocket(where)), state);
  const readAnew = async () => {
    while (!state.closed) {
      state.clear();
      try {
        await read();
        state.tell();
        return;
      } catch {
        // The kernel was busy; what is known now is not enough to stop at.
        await setTimeout(RETRY_MS);
      }
    }
  };
  // Listening first: what changes during the reading comes again as an event.
  const watch = watchSocket(
    { ...where, groups: LINK_GROUPS, receiveBufferBytes },
    {
      datagram: (bytes) => {
        for (const message of readMessages(bytes)) state.take(message);
      },
      rest: () => state.tell(),
      lost: () => void readAnew(),
    },
  );
  try {
    await read();
  } catch (error) {
    watch.close();
    throw error;
  }
  state.settled();
  return {
    current: () => state.current(),
    get losses() {
      return watch.losses;
    },
    close: () => {
      state.closed = true;
      watch.close();
    },
  };
}

async function readAll(exchange: SocketExchange, state: LinkState): Promise<void> {
  try {
    const dumps = (['links', 'addresses'] as const).map((what) => {
      const writer = new MessageWriter(64);
      writeLinkRequest(writer, 1, what);
      return exchange.dump(writer.finish(), BOUNDS, (messages) => {
        for (const message of messages) state.take(message);
        return true;
      });
    });
    await Promise.all(dumps);
  } finally {
    await exchange.close();
  }
}

/** Links by index, addresses by link and address; a view by name for those who ask. */
class LinkState {
  closed = false;
  readonly #links = new Map<number, Named>();
  readonly #addresses = new Map<number, Map<string, LinkAddress>>();
  #view: ReadonlyMap<string, Link> | undefined;
  #told = '';

  constructor(private readonly changed: (links: ReadonlyMap<string, Link>) => void) {}

  take(message: NetlinkMessage): void {
    const read = readLinkMessage(message);
    if (read === undefined) return;
    this.#view = undefined;
    if (read.kind === 'link') this.#takeLink(read);
    else this.#takeAddress(read);
  }

  clear(): void {
    this.#links.clear();
    this.#addresses.clear();
    this.#view = undefined;
  }

  current(): ReadonlyMap<string, Link> {
    this.#view ??= new Map(
      [...this.#links.values()].map((link) => [
        link.name,
        { ...link, addresses: [...(this.#addresses.get(link.index)?.values() ?? [])] },
      ]),
    );
    return this.#view;
  }

  /** What is there now needs no telling. */
  settled(): void {
    this.#told = fingerprint(this.current());
  }

  tell(): void {
    if (this.#view !== undefined) return;
    const links = this.current();
    const seen = fingerprint(links);
    if (seen === this.#told) return;
    this.#told = seen;
    queueMicrotask(() => {
      if (!this.closed) this.changed(links);
    });
  }

  #takeLink({ kind: _kind, op, ...link }: LinkMessage): void {
    if (op === 'new') {
      this.#links.set(link.index, link);
      return;
    }
    this.#links.delete(link.index);
    this.#addresses.delete(link.index);
  }

  #takeAddress({ kind: _kind, op, index, ...address }: AddressMessage): void {
    const addresses = this.#addresses.get(index) ?? new Map<string, LinkAddress>();
    const key = `${formatAddress(address.address)}/${address.prefixLength}`;
    if (op === 'new') addresses.set(key, address);
    else addresses.delete(key);
    this.#addresses.set(index, addresses);
  }
}

/** Statistics and renewed lifetimes are events too; only what is told here counts as a change. */
function fingerprint(links: ReadonlyMap<string, Link>): string {
  return JSON.stringify([...links.values()], (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value instanceof Uint8Array ? [...value] : value,
  );
}
