/**
 * Sentences of the language, such as `add {what} to {table} [for {timeout}]`: literal words, slots of one word, and
 * optional parts, which may come in any order from their place on. An optional part begins with a literal word or with a
 * slot; the first whose beginning takes a word gets it.
 */

export type Part = { readonly word: string } | { readonly slot: string };

export type Piece = Part | { readonly optional: readonly Part[] };

export interface Phrase {
  readonly template: string;
  readonly pieces: readonly Piece[];
}

/** Reads a template; it is part of the program, so that a wrong one is a defect. */
export function phrase(template: string): Phrase {
  const pieces: Piece[] = [];
  for (const [, optional, single] of template.matchAll(/\[([^\]]+)\]|(\S+)/g)) {
    if (optional !== undefined) pieces.push({ optional: optional.split(' ').map(part) });
    else if (single !== undefined) pieces.push(part(single));
  }
  return { template, pieces };
}

function part(text: string): Part {
  const [, slot] = /^\{(\w+)\}$/.exec(text) ?? [];
  return slot === undefined ? { word: text } : { slot };
}

/** What filling a phrase with words comes to. */
export type Filled<W> =
  | { readonly slots: ReadonlyMap<string, W> }
  /** This word has no place, or the sentence ends too early. */
  | { readonly unexpected: W | undefined; readonly expected: readonly Part[] };

/**
 * Assigns words to slots.
 * @param takes can the slot begin an optional part with this word?
 */
export function fillPhrase<W extends { readonly value: string }>(
  { pieces }: Phrase,
  words: readonly W[],
  takes: (slot: string, word: W) => boolean,
): Filled<W> {
  const slots = new Map<string, W>();
  const pending: (readonly Part[])[] = [];
  let next = 0;

  const begins = (part: Part, word: W) => ('word' in part ? part.word === word.value : takes(part.slot, word));
  const take = (part: Part): boolean => {
    const word = words[next];
    if (word === undefined || ('word' in part && part.word !== word.value)) return false;
    if ('slot' in part) slots.set(part.slot, word);
    next++;
    return true;
  };
  /** Takes pending optional parts; the part at which one of them broke off, if so. */
  const takeOptional = (): Part | undefined => {
    for (let word = words[next]; word !== undefined; word = words[next]) {
      const index = pending.findIndex(([first]) => begins(first!, word));
      if (index < 0) return undefined;
      const broken = pending.splice(index, 1)[0]!.find((part) => !take(part));
      if (broken !== undefined) return broken;
    }
    return undefined;
  };

  for (const piece of pieces) {
    if ('optional' in piece) {
      pending.push(piece.optional);
      continue;
    }
    const broken = takeOptional() ?? (take(piece) ? undefined : piece);
    if (broken !== undefined) return { unexpected: words[next], expected: [broken] };
  }
  const broken = takeOptional();
  if (broken !== undefined) return { unexpected: words[next], expected: [broken] };
  if (next < words.length) return { unexpected: words[next], expected: pending.map(([first]) => first!) };
  return { slots };
}
