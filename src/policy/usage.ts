/** How a sentence is shown to people. */

import type { TSchema } from 'typebox';
import { allowedWords } from './keywords.js';
import type { Part, Phrase } from './phrase.js';
import { readingOf } from './types.js';

/** `add source|destination to <TABLE> [for TIME]`. */
export function usage(phrase: Phrase, slots: Readonly<Record<string, TSchema>>): string {
  const show = (part: Part): string => ('word' in part ? part.word : slotLabel(part.slot, slots[part.slot]));
  return phrase.pieces
    .map((piece) => ('optional' in piece ? `[${piece.optional.map(show).join(' ')}]` : show(piece)))
    .join(' ');
}

function slotLabel(slot: string, schema: TSchema | undefined): string {
  const words = schema === undefined ? undefined : allowedWords(schema);
  if (words !== undefined) return words.join('|');
  const reading = schema === undefined ? undefined : readingOf(schema);
  return reading?.kind === 'format' ? reading.format.label : slot.toUpperCase();
}
