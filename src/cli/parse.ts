/** Options and positional arguments by a command's description. */

import { parseArgs } from 'node:util';
import { PosternError } from '../errors.js';
import type { Command, Options, Values } from './command.js';

export interface Parsed {
  readonly values: Values<Options>;
  readonly args: readonly string[];
}

/** Answers `help` when it was asked for. @throws PosternError `usage`. */
export async function parse(name: string, command: Command, argv: readonly string[]): Promise<Parsed | 'help'> {
  const options = command.options ?? {};
  const parsed = parseArgs({
    args: [...argv],
    options: { ...parserOptions(options), help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  if (parsed.values.help === true) return 'help';
  const seen = new Set<string>();
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw await unknownOption(name, token.rawName, Object.keys(options));
    checkValue(name, token, option.type);
    if (seen.has(token.name) && option.multiple !== true) throw usage(name, `${token.rawName} is given twice`);
    seen.add(token.name);
  }
  checkCount(name, command.args ?? '', parsed.positionals);
  return { values: parsed.values as Values<Options>, args: parsed.positionals };
}

function parserOptions(options: Options) {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      short === undefined ? { type, multiple } : { type, short, multiple },
    ]),
  );
}

function checkValue(name: string, token: { rawName: string; value?: string; inlineValue?: boolean }, type: string) {
  if (type === 'boolean' && token.value !== undefined) throw usage(name, `${token.rawName} takes no value`);
  if (type !== 'string') return;
  if (token.value === undefined) throw usage(name, `${token.rawName} needs a value`);
  // `--policy --json`: an option was eaten as the value; a value that begins with a dash is written `--policy=-x`.
  const eaten = token.inlineValue !== true && token.value.length > 1 && token.value.startsWith('-');
  if (eaten) throw usage(name, `${token.rawName} needs a value, but '${token.value}' follows`);
}

function checkCount(name: string, synopsis: string, args: readonly string[]): void {
  const words = synopsis.split(' ').filter((word) => word !== '');
  const required = words.filter((word) => !word.startsWith('['));
  if (args.length < required.length) throw usage(name, `missing ${required[args.length]!.replace('...', '')}`);
  const endless = words.some((word) => word.includes('...'));
  if (!endless && args.length > words.length) throw usage(name, `unexpected argument '${args[words.length]}'`);
}

async function unknownOption(name: string, option: string, known: readonly string[]): Promise<PosternError> {
  const { didYouMean } = await import('../policy/suggest.js');
  const hint = didYouMean(option, [...known.map((word) => `--${word}`), '--help']);
  return usage(name, `unknown option '${option}'`, hint);
}

function usage(name: string, message: string, hint = `see '${name} --help'`): PosternError {
  return new PosternError('usage', `${message}: ${hint}`);
}
