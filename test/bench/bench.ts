/** What a benchmark file exports, and how its figures are printed. */

export interface BenchRow {
  /** What was done, the same by both. */
  readonly work: string;
  /** Our figure with its unit. */
  readonly ours: string;
  /** What it is held against, with its figure: `nft -f: 412 ms`. Absent for a figure that has a bound of its own. */
  readonly reference?: string;
  /** How many times better than the reference (or the share of it that we reach); 2 digits are printed. */
  readonly ratio?: number;
  /** The bound, as people read it: `≥ 3 ×`. */
  readonly must?: string;
  /** Whether the bound is met; absent without a bound. */
  readonly met?: boolean;
}

export interface Bench {
  /** One word; `npm run bench -- NAME` runs it alone. */
  readonly name: string;
  readonly title: string;
  /** Takes so long that it doesn't run with all others. */
  readonly onlyByName?: boolean;
  run(): AsyncIterable<BenchRow> | Iterable<BenchRow>;
}

/** The middle value of several measurements. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Quantile `q` (0 to 1) of several measurements. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const columns = [58, 20, 34, 9, 12] as const;

/** One line of the table. */
export function rowText(row: BenchRow): string {
  const verdict = row.met === undefined ? '' : row.met ? 'met' : 'MISSED';
  const cells = [
    row.work,
    row.ours,
    row.reference ?? '',
    row.ratio === undefined ? '' : `${row.ratio.toPrecision(3)} ×`,
  ];
  return [...cells, row.must ?? ''].map((cell, index) => cell.padEnd(columns[index]!)).join(' ') + verdict;
}

export function headingText(bench: Bench): string {
  const titles = ['work', 'ours', 'reference', 'ratio', 'must be'];
  return `\n${bench.title}\n${titles.map((title, index) => title.padEnd(columns[index]!)).join(' ')}`;
}
