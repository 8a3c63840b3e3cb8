/** The counter of xt_quota2 as a pure model: what a named quota is charged, and what a write to it does. */

export interface Quota2Rule {
  /** Bytes, or packets with `packets`. */
  readonly quota: bigint;
  readonly invert: boolean;
  readonly grow: boolean;
  readonly packets: boolean;
  readonly noChange: boolean;
}

const wrap = 2n ** 64n;

/** Names that become a file name in the original: no leading dot, no slash, at most 14 characters. */
export function quota2Name(name: string): string | undefined {
  return name.startsWith('.') || name.includes('/') ? undefined : name.slice(0, 14);
}

export interface Quota2Step {
  readonly counter: bigint;
  readonly matches: boolean;
}

/** What one packet of `length` bytes does to the counter of a rule, and whether the match holds. */
export function quota2Packet(rule: Quota2Rule, counter: bigint, length: number): Quota2Step {
  const need = rule.packets ? 1n : BigInt(length);
  if (rule.grow) return { counter: rule.noChange ? counter : (counter + need) % wrap, matches: true };
  const fits = counter >= need;
  const left = fits ? counter - need : 0n;
  return { counter: rule.noChange ? counter : left, matches: fits !== rule.invert };
}

/**
 * What a write to the quota's file makes of its value: a number sets; `+n` adds and `-n` subtracts, down to
 * 0, and a minus sign behind either turns it round. Hexadecimal with 0x, octal with a leading 0; reading stops at what isn't a digit.
 */
export function quota2Write(counter: bigint, text: string): bigint {
  const input = text.slice(0, 22);
  const relative = input.startsWith('+') || input.startsWith('-');
  const subtracts = relative && (input[0] === '-') !== (input[1] === '-');
  const digits = input.slice(!relative ? 0 : input[1] === '-' ? 2 : 1);
  const value = leadingNumber(digits);
  if (!relative) return value;
  if (!subtracts) return (counter + value) % wrap;
  return counter > value ? counter - value : 0n;
}

function leadingNumber(text: string): bigint {
  const hex = /^0[xX]([0-9a-fA-F]+)/.exec(text);
  if (hex) return BigInt(`0x${hex[1]}`) % wrap;
  const octal = /^0[0-7]*/.exec(text);
  if (octal) return BigInt(`0o${octal[0]}`) % wrap;
  const decimal = /^[0-9]+/.exec(text);
  return decimal ? BigInt(decimal[0]) % wrap : 0n;
}
