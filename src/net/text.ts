/** How text that someone else wrote is repeated in an error message. */

import { PosternError } from '../errors.js';

const shownCharacters = 80;

/** The text in quotes, control characters escaped, cut to 80 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text);
}

/** The error of a value that can't be read: what was written, what is wrong with it, and what would be right. */
export function invalid(text: string, problem: string): PosternError {
  return new PosternError('invalid', `${quoted(text)} ${problem}`);
}
