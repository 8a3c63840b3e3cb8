/** The original's answer to the options of an IPv4 header, with and without its quirk: it passes over nop, as if none were there. */

const NOP = 1;
const END = 0;
/** A flag is a bit: numbers that differ by this are one. */
const FLAGS = 32;

/** How the original calls the flags; others are numbers. */
const symbols = new Map([
  ['nop', NOP],
  ['security', 2],
  ['lsrr', 3],
  ['timestamp', 4],
  ['record-route', 7],
  ['ssrr', 9],
  ['mtu-probe', 11],
  ['mtu-reply', 12],
  ['traceroute', 18],
  ['router-alert', 20],
]);

export interface OptionsAsked {
  /** Symbols or numbers, `!` in front of those that must be absent. */
  readonly flags: readonly string[];
  /** One of them is enough. */
  readonly any: boolean;
  /** The options area of a header. */
  readonly options: Buffer;
}

/** The answer when nop is seen as any other option. */
export const withNop = (asked: OptionsAsked): boolean => holds(asked, optionsIn(asked.options));

/** Is it the original's passing over nop that decides? */
export function turnsOnNop(asked: OptionsAsked): boolean {
  const found = optionsIn(asked.options);
  found.delete(NOP);
  return holds(asked, found) !== withNop(asked);
}

function holds({ flags, any }: OptionsAsked, found: ReadonlySet<number>): boolean {
  const held = flags.map((flag) => {
    const name = flag.replace('!', '');
    return found.has(symbols.get(name) ?? Number(name) % FLAGS) !== flag.startsWith('!');
  });
  return any ? held.includes(true) : !held.includes(false);
}

/** Up to the end of the list, or what can't be one. */
function optionsIn(area: Buffer): Set<number> {
  const found = new Set<number>();
  for (let at = 0; at < area.length && area[at] !== END; ) {
    const length = area[at] === NOP ? 1 : (area[at + 1] ?? 0);
    if (length === 0 || (length === 1 && area[at] !== NOP) || at + length > area.length) break;
    found.add(area[at]! % FLAGS);
    at += length;
  }
  return found;
}
