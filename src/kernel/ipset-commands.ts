/** The ipset protocol's commands, one request each. */

import { PosternError } from '../errors.js';
import {
  IPSET_ERROR,
  type IpsetHeader,
  type IpsetListing,
  type IpsetShape,
  type IpsetType,
  readIpsetListing,
  readIpsetRevision,
  refusedElement,
  writeIpsetCreate,
  writeIpsetDestroy,
  writeIpsetElements,
  writeIpsetFlush,
  writeIpsetHeaderRequest,
  writeIpsetListRequest,
  writeIpsetSwap,
  writeIpsetTest,
  writeIpsetTypeRequest,
} from '../wire/ipset.js';
import type { IpsetElement } from '../wire/ipset-element.js';
import { MessageWriter } from '../wire/netlink.js';
import { type Exchange, KernelRefusal } from './exchange.js';
import { ERRNO } from './layouts.js';

/** A bitmap or hash of 65,536 elements is some thousand datagrams. */
const BOUNDS = { maxDatagrams: 100_000, timeoutMs: 60_000 };

/** An element that was refused, by its place in the list. */
export interface RefusedElement {
  readonly index: number;
  readonly error: PosternError;
}

export class IpsetCommands {
  readonly #revisions = new Map<string, number>();
  #seq = 1;

  constructor(private readonly exchange: Exchange) {}

  /** undefined: there is no such set. @throws PosternError `unsupported` on a kernel without ipset */
  async header(name: string): Promise<IpsetHeader | undefined> {
    let header: IpsetHeader | undefined;
    const found = await this.#list(
      name,
      (writer, seq) => writeIpsetHeaderRequest(writer, seq, name),
      (listing) => {
        header ??= listing.header;
      },
    );
    return found ? header : undefined;
  }

  /** Gives every element to `take`; false: there is no such set. */
  elements(name: string, take: (element: IpsetElement) => void): Promise<boolean> {
    return this.#list(
      name,
      (writer, seq) => writeIpsetListRequest(writer, seq, name),
      ({ elements }) => {
        for (const element of elements) take(element);
      },
    );
  }

  /** @throws PosternError `conflict` when it exists, `unsupported`, `kernel`. */
  async create(name: string, shape: IpsetShape): Promise<void> {
    const revision = await this.#revision(shape.type, shape.family);
    await this.#command(`make ipset ${name}`, (writer, seq) => writeIpsetCreate(writer, seq, name, shape, revision));
  }

  /** False when something refers to it; no error when it isn't there. */
  async destroy(name: string): Promise<boolean> {
    try {
      await this.#command(`delete ipset ${name}`, (writer, seq) => writeIpsetDestroy(writer, seq, name));
      return true;
    } catch (error) {
      if (isRefusal(error, IPSET_ERROR.BUSY) || isRefusal(error, IPSET_ERROR.REFERENCED)) return false;
      if (isRefusal(error, ERRNO.ENOENT)) return true;
      throw error;
    }
  }

  flush(name: string): Promise<void> {
    return this.#command(`flush ipset ${name}`, (writer, seq) => writeIpsetFlush(writer, seq, name));
  }

  swap(name: string, other: string): Promise<void> {
    return this.#command(`swap ipset ${name}`, (writer, seq) => writeIpsetSwap(writer, seq, name, other));
  }

  async has(name: string, element: IpsetElement): Promise<boolean> {
    try {
      await this.#command(`test ipset ${name}`, (writer, seq) => writeIpsetTest(writer, seq, name, element));
      return true;
    } catch (error) {
      if (isRefusal(error, IPSET_ERROR.EXIST)) return false;
      throw error;
    }
  }

  /** Adds or deletes in order. One that is refused doesn't stop the others. */
  async change(op: 'add' | 'delete', name: string, elements: readonly IpsetElement[]): Promise<RefusedElement[]> {
    const refused: RefusedElement[] = [];
    for (let next = 0; next < elements.length; ) {
      const from = next;
      const writer = new MessageWriter(4096);
      next = writeIpsetElements(writer, op, this.#seq++, name, elements, from);
      try {
        await this.exchange.request(writer.finish());
      } catch (error) {
        if (!(error instanceof KernelRefusal)) throw error;
        const { quoted } = error.acknowledgement;
        const index = quoted === undefined ? undefined : refusedElement(quoted);
        if (index === undefined || index < from || index >= next) throw this.#failure(`${op} in ipset ${name}`, error);
        refused.push({ index, error: this.#failure(`${op} in ipset ${name}`, error) });
        next = index + 1;
      }
    }
    return refused;
  }

  async #revision(type: IpsetType, family: 4 | 6): Promise<number> {
    const key = `${type} ${family}`;
    const known = this.#revisions.get(key);
    if (known !== undefined) return known;
    const writer = new MessageWriter(128);
    writeIpsetTypeRequest(writer, this.#seq++, type, family);
    try {
      const [answer] = await this.exchange.request(writer.finish());
      if (answer === undefined) throw unsupported(type);
      const revision = readIpsetRevision(answer);
      this.#revisions.set(key, revision);
      return revision;
    } catch (error) {
      if (error instanceof KernelRefusal) throw unsupported(type, error);
      throw error;
    }
  }

  async #command(what: string, write: (writer: MessageWriter, seq: number) => void): Promise<void> {
    const writer = new MessageWriter(256);
    write(writer, this.#seq++);
    try {
      await this.exchange.request(writer.finish());
    } catch (error) {
      throw error instanceof KernelRefusal ? this.#failure(what, error) : error;
    }
  }

  async #list(
    name: string,
    write: (writer: MessageWriter, seq: number) => void,
    take: (listing: IpsetListing) => void,
  ): Promise<boolean> {
    const writer = new MessageWriter(128);
    write(writer, this.#seq++);
    try {
      await this.exchange.dump(writer.finish(), BOUNDS, (messages) => {
        for (const message of messages) take(readIpsetListing(message));
        return true;
      });
      return true;
    } catch (error) {
      if (!(error instanceof KernelRefusal)) throw error;
      if (error.errno === ERRNO.ENOENT) return false;
      if (error.errno === ERRNO.EINVAL) throw unsupported('ipset', error);
      throw this.#failure(`list ipset ${name}`, error);
    }
  }

  #failure(what: string, refusal: KernelRefusal): PosternError {
    const { errno } = refusal;
    const told = reasons.get(errno);
    if (told === undefined) return new PosternError('kernel', `${what}: ${refusal.message}`, { cause: refusal });
    return new PosternError(told[0], `${what}: ${told[1]}`, { cause: refusal });
  }
}

function isRefusal(error: unknown, errno: number): boolean {
  return error instanceof PosternError && error.cause instanceof KernelRefusal && error.cause.errno === errno;
}

function unsupported(what: string, cause?: unknown): PosternError {
  return new PosternError('unsupported', `this kernel has no ${what}; load the kernel modules ip_set and ip_set_*`, {
    cause,
  });
}

const reasons = new Map<number, readonly ['full' | 'not-found' | 'conflict' | 'busy' | 'invalid', string]>([
  [ERRNO.ENOENT, ['not-found', 'there is no such ipset']],
  [ERRNO.EEXIST, ['conflict', 'an ipset of this name exists']],
  [ERRNO.ENOMEM, ['busy', 'the kernel is short of memory']],
  [IPSET_ERROR.BUSY, ['conflict', 'something refers to it: see iptables -S']],
  [IPSET_ERROR.REFERENCED, ['conflict', 'something refers to it: see iptables -S']],
  [IPSET_ERROR.TYPE_MISMATCH, ['conflict', 'it is of another type; delete it: ipset destroy']],
  [IPSET_ERROR.EXIST, ['conflict', 'it is there, or it is not, contrary to what was asked']],
  [IPSET_ERROR.FULL_OR_RANGE, ['full', 'it is full; raise the size of its table']],
]);
