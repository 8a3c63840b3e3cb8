/** Words of messages: what someone else wrote, and how many of something. */

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

/** `1 entry`, `2 entries`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
