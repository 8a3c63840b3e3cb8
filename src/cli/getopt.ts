/** The command line as getopt(3) of the GNU C library reads it, for programs whose command line we keep. */

export type GetoptStep =
  | { readonly option: string; readonly value?: string }
  /** The message that getopt prints, without the program's name. */
  | { readonly error: string };

/**
 * Yields options in their order, wherever they stand (`permute`) or up to the first operand; then returns the operands.
 * @param letters getopt's own notation: `hk:` is `-h` and `-k VALUE`
 */
export function* getopt(
  argv: readonly string[],
  letters: string,
  permute = true,
): Generator<GetoptStep, readonly string[]> {
  const operands: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return [...operands, ...argv.slice(i + 1)];
    if (word === '-' || !word.startsWith('-')) {
      if (!permute) return argv.slice(i);
      operands.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      const known = letter === ':' || letter === ';' ? -1 : letters.indexOf(letter);
      if (known < 0) {
        yield { error: `invalid option -- '${letter}'` };
      } else if (letters[known + 1] !== ':') {
        yield { option: letter };
      } else {
        const attached = at + 1 < word.length;
        const value = attached ? word.slice(at + 1) : argv[++i];
        yield value === undefined ? { error: `option requires an argument -- '${letter}'` } : { option: letter, value };
        break;
      }
    }
  }
  return operands;
}
