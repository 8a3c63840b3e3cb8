/**
 * Rows of numbers in pages: growing copies nothing but the first page, which begins small, and leaves no holes in the
 * memory that other sizes don't fit into. Row `r` is in `pages[r >>> pageBits]`, from `(r & rowMask) * stride` on.
 */

type Numbers = Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

export const pageBits = 11;
const rowsPerPage = 1 << pageBits;
export const rowMask = rowsPerPage - 1;
const firstRows = 16;

export class Rows<A extends Numbers> {
  readonly pages: A[];

  /** @param stride numbers in a row */
  constructor(
    private readonly make: new (length: number) => A,
    readonly stride = 1,
    pages: A[] = [],
  ) {
    this.pages = pages;
    if (pages.length === 0) pages.push(new make(firstRows * stride));
  }

  /** Makes room for the row and all before it; new ones are 0. */
  reserve(row: number): void {
    const first = this.pages[0]!;
    if (first.length < Math.min(row + 1, rowsPerPage) * this.stride) {
      let rows = firstRows;
      while (rows < rowsPerPage && rows <= row) rows *= 2;
      const grown = new this.make(rows * this.stride);
      grown.set(first);
      this.pages[0] = grown;
    }
    while (this.pages.length <= row >>> pageBits) this.pages.push(new this.make(rowsPerPage * this.stride));
  }

  has(row: number): boolean {
    return row < rowsPerPage ? row * this.stride < this.pages[0]!.length : row >>> pageBits < this.pages.length;
  }

  /** The same rows, independent from now on. */
  copy(): Rows<A> {
    return new Rows(
      this.make,
      this.stride,
      this.pages.map((page) => page.slice() as A),
    );
  }
}
