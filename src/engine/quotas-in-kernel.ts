/** What the kernel has of quotas: what its objects count, and the sets that rules look at. */

import type { Manifest } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { mostInQuota, type QuotaDuty } from '../extensions/quota-names.js';
import { fittingLengths } from '../extensions/quota2.js';
import type { ElementChange, Kernel, ObjectIndex } from '../kernel/kernel.js';
import { encodeKey } from '../nft/key.js';
import type { Element } from '../nft/model.js';
import type { Presence } from '../nft/presence.js';
import type { Held, QuotaParts, QuotaReading } from './quota-parts.js';

export type QuotaKernel = Pick<Kernel, 'object' | 'allow' | 'dump'>;

/** A quota that rules look at. */
interface Looked {
  readonly parts: QuotaParts;
  readonly duty: QuotaDuty;
}

const marks = (['ipv4', 'ipv6'] as const).map((value): Element => ({ value }));

/** What the set has that says whether a quota is empty. */
export const emptyMarks = (value: bigint): readonly Element[] => (value === 0n ? marks : []);

export class QuotasInKernel {
  constructor(private readonly kernel: QuotaKernel) {}

  /**
   * What the kernel has of a quota before a load.
   * @param from what it was made of until now
   * @param to what the plan of `manifest` makes it of
   */
  async held(
    from: QuotaParts,
    to: QuotaParts,
    manifest: Pick<Manifest, 'objects' | 'tables'>,
    presence: Presence,
  ): Promise<Held> {
    const planned = to.left === undefined ? undefined : manifest.objects[to.left];
    const table = manifest.tables.find(({ family }) => family === planned?.table);
    const isThere = (kind: string) => presence.objects.has(`${table?.family} ${table?.name} ${kind} ${planned?.name}`);
    const reading = await this.reading(from);
    const { limitBytes, usedBytes, ...counted } = reading;
    const quota = limitBytes !== undefined && isThere('quota') ? { limitBytes, usedBytes: usedBytes ?? 0n } : {};
    return { ...counted, ...quota, hasLimit: isThere('limit') };
  }

  /** What its counters say. */
  async reading({ left, grown, charged }: QuotaParts): Promise<QuotaReading> {
    const count = async (object: ObjectIndex | undefined) => (object === undefined ? {} : await this.#object(object));
    const [held, added, taken] = await Promise.all([count(left), count(grown), count(charged)]);
    const isPackets = charged !== undefined;
    const { limitBytes, usedBytes } = held;
    return {
      ...(limitBytes !== undefined && { limitBytes, usedBytes: usedBytes ?? 0n }),
      grown: (isPackets ? added.packets : added.bytes) ?? 0n,
      charged: taken.packets ?? 0n,
    };
  }

  /** What isn't in the kernel (after a boot) has counted nothing. */
  async #object(object: ObjectIndex) {
    try {
      return await this.kernel.object(object);
    } catch (error) {
      if (error instanceof PosternError && error.code === 'not-found') return {};
      throw error;
    }
  }

  /** What is there is raised where it can be, so that packets in between stay counted. */
  async allow(left: ObjectIndex, value: bigint, { limitBytes = 0n, usedBytes = 0n }: QuotaReading): Promise<void> {
    const isOpen = usedBytes < limitBytes;
    const limit = usedBytes + value;
    if (isOpen && value > 0n && limit <= mostInQuota) await this.kernel.allow(left, limit);
    else await this.kernel.allow(left, value, { reset: true });
  }

  /** The changes of the sets that rules look at. */
  async setChanges({ parts: { empty, fits }, duty }: Looked, value: bigint): Promise<ElementChange[]> {
    const { kernel } = this;
    const changes: ElementChange[] = [];
    if (empty !== undefined) {
      const isMarked = (await kernel.dump(empty)).length;
      const add = marks.map((family): ElementChange => ({ op: 'add', set: empty, ...keyOf('nf_proto', family) }));
      if (value === 0n && isMarked < marks.length) changes.push(...add);
      if (value > 0n && isMarked > 0) changes.push({ op: 'flush', set: empty });
    }
    if (fits !== undefined && duty.unit === 'bytes') {
      const wanted = fittingLengths(value).map((element) => keyOf('packet_length', element));
      const there = await kernel.dump(fits);
      const same = there.length === wanted.length && wanted.every(({ keyEnd }) => sameBytes(keyEnd, there[0]?.keyEnd));
      if (!same)
        changes.push(
          { op: 'flush', set: fits },
          ...wanted.map((key): ElementChange => ({ op: 'add', set: fits, ...key })),
        );
    }
    return changes;
  }
}

const keyOf = (type: string, { value }: Element) => encodeKey([type], value)!;

const sameBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
