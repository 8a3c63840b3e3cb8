/**
 * What live sets and objects hold, asked for one by one over a socket of its own: no engine, no thread and no listing of
 * a set. Reads only.
 */

import type { Manifest, ManifestObject, ManifestSet } from '../compiler/plan.js';
import { keyBefore } from '../nft/key.js';
import type { TableFamily } from '../nft/model.js';
import { FLAG, MessageWriter, type NetlinkMessage } from '../wire/netlink.js';
import { NFPROTO } from '../wire/nfnetlink.js';
import { NFT } from '../wire/nftables.js';
import { writeElements, writeSetRequest } from '../wire/nftables-element-writer.js';
import { readElements, type WireElement } from '../wire/nftables-elements.js';
import { OBJECT_TYPE, readObject, writeObjectRequest } from '../wire/nftables-objects.js';
import { readRule, type WireRule, writeRulesRequest } from '../wire/nftables-rules.js';
import { readTable, writeTablesRequest } from '../wire/nftables-tables.js';
import { elementState } from './element-list.js';
import { KernelRefusal } from './exchange.js';
import { dumpEntries, dumpNow, openNetfilterSocket, RECEIVE_BYTES, requestNow } from './exchange-now.js';
import type { ElementState, ObjectState } from './kernel.js';
import { ERRNO, fixedBuffer } from './layouts.js';
import type { NlSocket } from './nl-socket.js';

/** All methods throw PosternError when the kernel can't be asked. */
export interface LiveSets {
  /** The element that covers the key: the key itself, or an interval around it. Undefined also without the set. */
  covering(set: ManifestSet, key: Uint8Array): ElementState | undefined;
  /**
   * All elements of a set whose keys have several parts, read as they are taken; none without the set. Not for what is
   * asked for each packet.
   */
  elements(set: ManifestSet): Iterable<ElementState>;
  /** Undefined without the object. */
  object(object: ManifestObject): ObjectState | undefined;
  /** All tables of the namespace, others' included. */
  tables(): readonly { readonly family: TableFamily; readonly name: string }[];
  /** Rules of all tables, chain by chain in their order. */
  rules(): readonly WireRule[];
  close(): void;
}

const DUMP_BOUNDS = { maxDatagrams: 10_000, timeoutMs: 10_000 } as const;

/**
 * @param tables those that the sets and objects are in
 * @throws PosternError `not-found` (no such namespace), `system`
 */
export function openLiveSets(tables: Manifest['tables'], namespace?: string): LiveSets {
  return new SocketLiveSets(openNetfilterSocket(namespace), tables);
}

class SocketLiveSets implements LiveSets {
  readonly #buffer = fixedBuffer(RECEIVE_BYTES);
  #seq = 1;

  constructor(
    private readonly socket: NlSocket,
    private readonly ownTables: Manifest['tables'],
  ) {}

  covering(set: ManifestSet, key: Uint8Array): ElementState | undefined {
    // Intervals of one part are two elements, a start and an end; those of concatenations are one.
    const pairs = set.interval && set.key.length === 1;
    const found = this.#element(set, set.interval && !pairs ? { key, keyEnd: key } : { key });
    if (found?.key === undefined) return undefined;
    if (!pairs) return elementState(found);
    const end = this.#element(set, { key, intervalEnd: true })?.key;
    return elementState(found, end === undefined ? highest(key.length) : keyBefore(end));
  }

  *elements({ table, name }: ManifestSet): Generator<ElementState, undefined, undefined> {
    const seq = this.#next();
    const writer = new MessageWriter(256);
    writeSetRequest(writer, NFT.GETSETELEM, FLAG.DUMP, seq, { ...this.#address(table), set: name });
    try {
      for (const datagram of dumpNow(this.socket, writer.finish(), DUMP_BOUNDS, this.#buffer)) {
        for (const { body } of dumpEntries(Buffer.from(datagram), seq)) {
          for (const element of readElements(body).elements) if (element.key !== undefined) yield elementState(element);
        }
      }
    } catch (error) {
      if (!(error instanceof KernelRefusal && error.errno === ERRNO.ENOENT)) throw error;
    }
  }

  object({ table, kind, name }: ManifestObject): ObjectState | undefined {
    const writer = new MessageWriter(256);
    const type = OBJECT_TYPE[kind];
    writeObjectRequest(writer, NFT.GETOBJ, 0, this.#next(), { ...this.#address(table), name, type });
    const [answer] = this.#ask(writer);
    if (answer === undefined) return undefined;
    const { counter, quota } = readObject(answer.body);
    return quota === undefined ? (counter ?? {}) : { limitBytes: quota.limitBytes, usedBytes: quota.usedBytes };
  }

  tables(): { family: TableFamily; name: string }[] {
    return this.#dump(writeTablesRequest).map(({ body }) => {
      const { family, name } = readTable(body);
      return { family: familyName(family), name };
    });
  }

  rules(): WireRule[] {
    return this.#dump(writeRulesRequest).map(({ body }) => readRule(body));
  }

  close(): void {
    this.socket.close();
  }

  #dump(write: (writer: MessageWriter, seq: number) => void): NetlinkMessage[] {
    const seq = this.#next();
    const writer = new MessageWriter(64);
    write(writer, seq);
    const messages: NetlinkMessage[] = [];
    for (const datagram of dumpNow(this.socket, writer.finish(), DUMP_BOUNDS, this.#buffer)) {
      messages.push(...dumpEntries(Buffer.from(datagram), seq));
    }
    return messages;
  }

  #element({ table, name }: ManifestSet, element: WireElement): WireElement | undefined {
    const writer = new MessageWriter(256);
    writeElements(writer, NFT.GETSETELEM, 0, this.#next(), { ...this.#address(table), set: name }, [element]);
    const [answer] = this.#ask(writer);
    return answer && readElements(answer.body).elements[0];
  }

  #address(family: TableFamily): { family: number; table: string } {
    const name = this.ownTables.find((one) => one.family === family)?.name ?? '';
    return { family: NFPROTO[family], table: name };
  }

  #ask(writer: MessageWriter): NetlinkMessage[] {
    try {
      return requestNow(this.socket, writer.finish(), this.#buffer);
    } catch (error) {
      if (error instanceof KernelRefusal && error.errno === ERRNO.ENOENT) return [];
      throw error;
    }
  }

  #next(): number {
    return this.#seq++;
  }
}

const families = Object.keys(NFPROTO) as (keyof typeof NFPROTO)[];

function familyName(number: number): TableFamily {
  return families.find((name) => NFPROTO[name] === number) as TableFamily;
}

const highest = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0xff);
