/**
 * Which options an IPv4 header has: the reference of the rules that walk through them.
 *
 * | Octet of an option (RFC 791 section 3.1) | Field |
 * |---|---|
 * | 0 | type: copy flag, class, and the number in the low five bits |
 * | 1 | length of the whole option; types 0 (end) and 1 (nop) have none |
 */

/** The bits of the numbers that are there, `1 << number`; a malformed option ends the walk and isn't there. */
export function optionsOf(area: Uint8Array): number {
  let bits = 0;
  let at = 0;
  while (at < area.length && area[at] !== endOfList) {
    const type = area[at]!;
    const length = type === nop ? 1 : (area[at + 1] ?? 0);
    if (type !== nop && (length < 2 || at + length > area.length)) break;
    bits |= 1 << (type & 0x1f);
    at += length;
  }
  return bits >>> 0;
}

const endOfList = 0;
const nop = 1;

export interface OptionTest {
  readonly present: readonly number[];
  readonly absent: readonly number[];
  /** One of them is enough; all have to hold otherwise. */
  readonly any: boolean;
}

export function testOptions({ present, absent, any }: OptionTest, bits: number): boolean {
  const isThere = (number: number): boolean => ((bits >>> number) & 1) === 1;
  if (any) return present.some(isThere) || !absent.every(isThere);
  return present.every(isThere) && !absent.some(isThere);
}
