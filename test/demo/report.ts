/** The demo's table: one row for each thing that was tried, with what was expected and what was seen. */

export interface Row {
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
}

export class Report {
  readonly #rows: Row[] = [];

  /** Adds a row and prints it at once. */
  row(what: string, expected: string | number, seen: string | number): void {
    const row = { what, expected: String(expected), seen: String(seen) };
    this.#rows.push(row);
    const mark = row.expected === row.seen ? 'ok  ' : 'MISS';
    console.log(`  ${mark}  ${what.padEnd(66)} ${row.expected.padEnd(22)} ${row.seen}`);
  }

  heading(text: string): void {
    console.log(`\n${text}`);
    console.log(`        ${'what'.padEnd(66)} ${'expected'.padEnd(22)} seen`);
  }

  /** Output of a command, indented below its command line. */
  output(command: string, text: string): void {
    console.log(`\n  $ ${command}`);
    for (const line of text.trimEnd().split('\n')) console.log(`    ${line}`);
  }

  get misses(): readonly Row[] {
    return this.#rows.filter((row) => row.expected !== row.seen);
  }

  get count(): number {
    return this.#rows.length;
  }
}
