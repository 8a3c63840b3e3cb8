/** One value on one line of JSON that shows as what it is: nothing in it can end the line, move a cursor or turn its direction. */

/**
 * What JSON allows in a string and a terminal or a reader of logs may obey: DEL and the C1 controls, formatting characters
 * (bidirectional, zero-width, tags), line and paragraph separators.
 */
const unsafe = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Most lines are plain, which is told much quicker. */
const notPlain = /[^ -~]/;

/** The value as JSON without a line end; control characters and invisible ones are escaped. */
export function jsonLine(value: unknown): string {
  const line = JSON.stringify(value);
  return notPlain.test(line) ? line.replace(unsafe, escapeUnits) : line;
}

function escapeUnits(character: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i++) escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return escaped;
}
