/**
 * Reads tables: from memory, and from the kernel what only the kernel knows. Rules add hosts to a table and delete them
 * without a word, so that tables which rules change are compared with the kernel before they are shown, counted, or
 * changed as a whole; entries count packets in the kernel.
 */

import type { ElementState, Kernel } from '../kernel/kernel.js';
import { type Address, addressBits, addressBytes, type Prefix } from '../net/address.js';
import { hostPrefix, isHost } from '../net/prefix.js';
import type { Clock } from './clock.js';
import { elementKey, elementPiece } from './entries/element.js';
import { families, type LiveTable, setsFor, setsOf } from './entries/live-table.js';
import { TableChange } from './entries/table-change.js';
import { isPolicy, sameTerms, type Terms } from './entries/terms.js';
import type { TrieEntry } from './entries/trie.js';
import type { TableWriter } from './table-writer.js';
import type { EntryView, Source, TestResult } from './tables.js';

export interface TableReaderOptions {
  readonly kernel: Pick<Kernel, 'get' | 'dump'>;
  readonly clock: Clock;
  readonly writer: TableWriter;
}

interface Count {
  packets: bigint;
  bytes: bigint;
}

const byRule: Source = { kind: 'rule', id: '' };
/** What a refreshed timeout may differ from ours by before it counts as refreshed: reading and writing take time. */
const refreshedMs = 1_000;
/** Elements that are looked at before others get their turn. */
const elementsAtATime = 1_000;
/** So many hosts are asked for one by one before the whole set is listed. */
const singleHosts = 64;

export class TableReader {
  constructor(private readonly options: TableReaderOptions) {}

  /** Learns what rules have added, refreshed and deleted, unless that is known from at most `ageMs` ago. */
  async notice(table: LiveTable, ageMs: number): Promise<void> {
    const { adds, deletes } = table.rules;
    if (!(adds || deletes) || this.options.clock.steady() - table.noticedAt < ageMs) return;
    table.noticedAt = this.options.clock.steady();
    for (const family of families) {
      const [set] = table.sets[family].hosts;
      if (set === undefined) continue;
      const { deletions } = table;
      const elements = await this.options.kernel.dump(set);
      await this.#take(table, elements, deletions);
      if (deletes) await this.#missing(table, family, elements);
    }
  }

  /** As `notice`, for these hosts alone. */
  async noticeHosts(table: LiveTable, prefixes: readonly Prefix[]): Promise<void> {
    if (!(table.rules.adds || table.rules.deletes)) return;
    const unknown = prefixes.filter((prefix) => isHost(prefix) && table.get(prefix) === undefined);
    if (unknown.length > singleHosts) return this.notice(table, 0);
    for (const prefix of unknown) {
      const element = await this.#host(table, prefix);
      if (element !== undefined) await this.#take(table, [element], table.deletions);
    }
  }

  /** In address order, IPv4 first, without what has expired. */
  async show(table: LiveTable): Promise<Iterable<EntryView>> {
    await this.notice(table, 0);
    const counts = table.plan.counters ? await this.#counts(table) : new Map<string, Count>();
    const now = this.options.clock.steady();
    const snapshots = families.map((family) => ({ family, entries: table.entries[family].snapshot() }));
    const view = this.#view.bind(this);
    return {
      *[Symbol.iterator]() {
        for (const { family, entries } of snapshots) {
          for (const entry of entries) {
            if (entry.of.expires > now) yield view({ ...entry, family }, counts.get(keyOf(family, entry)));
          }
        }
      },
    };
  }

  async test(table: LiveTable, address: Address): Promise<TestResult> {
    if (table.rules.adds || table.rules.deletes) await this.#noticeHost(table, hostPrefix(address));
    const { family } = address;
    const decides = table.entries[family].decides(address.value, this.options.clock.steady());
    if (decides === undefined) return { inTable: false };
    const counts = table.plan.counters ? await this.#countOf(table, { family, ...decides }) : undefined;
    return { inTable: !decides.of.not, entry: this.#view({ family, ...decides }, counts) };
  }

  async #noticeHost(table: LiveTable, prefix: Prefix): Promise<void> {
    const known = table.get(prefix);
    const isSettled = table.underWay === 0;
    const host = await this.#host(table, prefix);
    if (host !== undefined) return this.#take(table, [host], table.deletions);
    if (known === undefined || known.not || !isSettled || !this.#isGone(table, prefix, known)) return;
    const change = new TableChange(table, byRule);
    change.put(prefix, undefined);
    await this.options.writer.record(change);
  }

  /** The kernel hasn't the host: has a rule deleted it, and nobody said anything since? */
  #isGone(table: LiveTable, prefix: Prefix, known: Terms): boolean {
    return table.rules.deletes && !isPolicy(known) && sameTerms(table.get(prefix), known);
  }

  /** Hosts that the kernel has and memory doesn't are entries that rules have added. */
  async #take(table: LiveTable, elements: readonly ElementState[], deletions: number): Promise<void> {
    const now = this.options.clock.steady();
    const change = new TableChange(table, byRule);
    const contradicted: ElementState[] = [];
    let looked = 0;
    for (const element of elements) {
      looked++;
      if (looked % elementsAtATime === 0) await new Promise(setImmediate);
      const { first, until, comment } = elementPiece(element, now);
      const prefix = hostPrefix({ family: element.key.length === 4 ? 4 : 6, value: first });
      const known = table.get(prefix);
      if (known?.not) contradicted.push(element);
      if (known !== undefined && (isPolicy(known) || known.not)) continue;
      if (known !== undefined && (known.expires === until || Math.abs(known.expires - until) < refreshedMs)) continue;
      // What was deleted while the kernel listed it isn't news.
      if (known === undefined && table.deletions !== deletions && (await this.#host(table, prefix)) === undefined)
        continue;
      change.put(prefix, this.#ruleTerms(known, element, until, comment));
    }
    await this.options.writer.record(change);
    await this.options.writer.drop(table, contradicted);
  }

  #ruleTerms(known: Terms | undefined, element: ElementState, until: number, comment: string | undefined): Terms {
    return {
      not: false,
      expires: until,
      ...(element.timeoutMs !== undefined && { timeoutMs: element.timeoutMs }),
      ...(comment !== undefined && { comment }),
      source: known?.source ?? byRule,
      addedAt: known?.addedAt ?? this.options.clock.wall(),
      request: known?.request ?? 0,
    };
  }

  /** Hosts that memory has and the kernel hasn't were deleted by rules; one listing alone is no proof. */
  async #missing(table: LiveTable, family: 4 | 6, elements: readonly ElementState[]): Promise<void> {
    const now = this.options.clock.steady();
    const listed = new Set(elements.map((element) => Buffer.from(element.key).toString('latin1')));
    const change = new TableChange(table, byRule);
    for (const { first, until } of table.entries[family].hostPieces()) {
      const address = { family, value: first };
      if (until <= now || listed.has(Buffer.from(addressBytes(address)).toString('latin1'))) continue;
      const prefix = hostPrefix(address);
      const known = table.get(prefix);
      if (known === undefined || table.underWay > 0 || (await this.#host(table, prefix)) !== undefined) continue;
      if (this.#isGone(table, prefix, known)) change.put(prefix, undefined);
    }
    await this.options.writer.record(change);
  }

  async #host(table: LiveTable, prefix: Prefix): Promise<ElementState | undefined> {
    const [set] = table.sets[prefix.family].hosts;
    return set === undefined ? undefined : this.options.kernel.get(set, { key: addressBytes(prefix) });
  }

  /** Counts by entry: of a prefix, those of all pieces on which it decides. */
  async #counts(table: LiveTable): Promise<Map<string, Count>> {
    const counts = new Map<string, Count>();
    for (const { set, family, tier } of setsOf(table)) {
      for (const element of await this.options.kernel.dump(set)) {
        const piece = elementPiece(element, 0);
        const entry =
          tier === 'hosts'
            ? { value: piece.first, length: addressBits(family) }
            : table.entries[family].prefixOf(piece);
        if (entry !== undefined) addTo(counts, keyOf(family, entry), element);
      }
    }
    return counts;
  }

  async #countOf(
    table: LiveTable,
    { family, value, length, of }: TrieEntry<Terms> & { family: 4 | 6 },
  ): Promise<Count> {
    const total: Count = { packets: 0n, bytes: 0n };
    const isSingle = length === addressBits(family) && !of.not && !table.entries[family].nested;
    const tier = isSingle ? 'hosts' : 'prefixes';
    for (const piece of table.entries[family].piecesOf(value, length)) {
      for (const set of setsFor(table.sets[family][tier], family, piece)) {
        const element = await this.options.kernel.get(set, elementKey(family, tier, piece));
        total.packets += element?.packets ?? 0n;
        total.bytes += element?.bytes ?? 0n;
      }
    }
    return total;
  }

  #view({ family, value, length, of }: TrieEntry<Terms> & { family: 4 | 6 }, count: Count | undefined): EntryView {
    const { not, timeoutMs, comment, expires, source, addedAt } = of;
    const expiresAt = this.options.writer.toWall(expires);
    return {
      prefix: { family, value, length },
      ...(not && { not }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(comment !== undefined && { comment }),
      ...(expiresAt !== undefined && { expiresAt }),
      source,
      addedAt,
      ...(count !== undefined && count),
    };
  }
}

function keyOf(family: 4 | 6, { value, length }: { readonly value: bigint; readonly length: number }): string {
  return `${family} ${value} ${length}`;
}

function addTo(counts: Map<string, Count>, key: string, { packets = 0n, bytes = 0n }: ElementState): void {
  const count = counts.get(key);
  if (count === undefined) {
    counts.set(key, { packets, bytes });
    return;
  }
  count.packets += packets;
  count.bytes += bytes;
}
