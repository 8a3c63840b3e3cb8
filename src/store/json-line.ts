/** One value on one line of JSON that shows as what it is: nothing in it can end the line, move a cursor or turn its direction. */

/**
 * What JSON allows in a string and a terminal or a log reader may obey: DEL and the C1 controls, soft hyphen, zero-width and
 * bidirectional controls, line and paragraph separators, byte order mark, tags.
 */
const unsafe =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** The value as JSON without a line end; control characters and invisible ones are escaped. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(unsafe, escapeUnits);
}

function escapeUnits(character: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i++) escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return escaped;
}
