/**
 * What an account has counted since the engine started, whoever has flushed it: counts that only grow, as time series
 * must. A bounded number of addresses have series of their own, the first that were seen, the busiest of each reading
 * first; all others are one. An address never moves from one to the other, so that the sum is always right.
 */

import { type Address, formatAddress } from '../net/address.js';
import { bothPlus, type Counts, noCount, noCounts, plus, Sheet } from './account-sets.js';
import type { AccountSeries, Count } from './accounts.js';
import { calmly } from './calmly.js';

export class AccountTotals {
  /** What was flushed, by address. */
  readonly #flushed = new Sheet();
  #flushedOverflow = noCount;
  /** Of addresses beyond the bound. */
  #flushedOthers = noCounts;
  readonly #own = new Set<string>();

  /**
   * @param seriesMost addresses with series of their own
   * @param addressesMost addresses whose flushed counts are kept apart
   */
  constructor(
    private readonly account: string,
    private readonly seriesMost: number,
    private readonly addressesMost: number,
  ) {}

  /** Takes over what was read and zeroed. */
  async carry(sheet: Sheet, overflow: Count): Promise<void> {
    await this.#admit(sheet);
    await calmly(sheet, ({ address, counts }) => {
      const isKept = this.#flushed.get(address) !== undefined || this.#own.has(formatAddress(address));
      if (isKept || this.#flushed.size < this.addressesMost) this.#flushed.add(address, counts);
      else this.#flushedOthers = bothPlus(this.#flushedOthers, counts);
    });
    this.#flushedOverflow = plus(this.#flushedOverflow, overflow);
  }

  /** What was flushed, to be kept; of addresses without a row of their own it is in `overflow`. */
  async flushed(): Promise<{ readonly sheet: Sheet; readonly overflow: Count }> {
    const { source, destination } = this.#flushedOthers;
    const overflow = plus(this.#flushedOverflow, plus(source, destination));
    return { sheet: await this.with(new Sheet()), overflow };
  }

  /** All that was counted, by address, with what stands in the kernel now. */
  async with(current: Sheet): Promise<Sheet> {
    const all = new Sheet();
    await calmly(this.#flushed, ({ address, counts }) => all.add(address, counts));
    await calmly(current, ({ address, counts }) => all.add(address, counts));
    return all;
  }

  async series(current: Sheet, overflow: Count): Promise<AccountSeries[]> {
    await this.#admit(current);
    const series: AccountSeries[] = [];
    let others = this.#flushedOthers;
    await calmly(await this.with(current), ({ address, counts }) => {
      const ip = formatAddress(address);
      if (this.#own.has(ip)) series.push(...this.#both(ip, counts));
      else others = bothPlus(others, counts);
    });
    series.push(...this.#both('other', others));
    series.push({ account: this.account, ip: 'overflow', direction: 'any', ...plus(this.#flushedOverflow, overflow) });
    return series;
  }

  #both(ip: string, { source, destination }: Counts): AccountSeries[] {
    const { account } = this;
    return [
      { account, ip, direction: 'source', ...source },
      { account, ip, direction: 'destination', ...destination },
    ];
  }

  /** Gives series to addresses that have none and were never part of the rest. */
  async #admit(sheet: Sheet): Promise<void> {
    const room = this.seriesMost - this.#own.size;
    if (room <= 0) return;
    const fresh: { readonly address: Address; readonly bytes: bigint }[] = [];
    await calmly(sheet, ({ address, counts }) => {
      if (this.#own.has(formatAddress(address))) return;
      fresh.push({ address, bytes: counts.source.bytes + counts.destination.bytes });
    });
    fresh.sort((a, b) => (a.bytes < b.bytes ? 1 : a.bytes > b.bytes ? -1 : 0));
    for (const { address } of fresh.slice(0, room)) this.#own.add(formatAddress(address));
  }
}
