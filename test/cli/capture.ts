import type { Io } from '../../src/cli/command.js';

/** An Io whose output is kept; `input` is what standard input holds. */
export function captured(input: Iterable<string> = [], env: Record<string, string> = {}) {
  const seen = { out: '', err: '' };
  const io: Io = {
    stdin: (async function* () {
      yield* input;
    })(),
    async out(text) {
      seen.out += text;
    },
    err(text) {
      seen.err += text;
    },
    env,
  };
  return { io, seen };
}
