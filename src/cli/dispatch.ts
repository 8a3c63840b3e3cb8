/** From a command line to a running command and its exit status. */

import { PosternError } from '../errors.js';
import type { AnyCommand, Command, CommandEntry, CommandGroup, Io, RawCommand } from './command.js';
import { parse } from './parse.js';

type Table = Readonly<Record<string, CommandEntry>>;

/** Runs a command line (without the program's name) and answers the exit status. Never throws. */
export async function run(argv: readonly string[], io: Io, commands: Table): Promise<number> {
  try {
    return (await dispatch(argv, io, commands)) ?? 0;
  } catch (error) {
    const { report } = await import('./report.js');
    return report(error, io, wantsJson(argv));
  }
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? undefined : end).includes('--json');
}

async function dispatch(argv: readonly string[], io: Io, commands: Table): Promise<number | undefined> {
  const [first, ...rest] = argv;
  switch (first) {
    case undefined:
      io.err((await import('./help.js')).overview(commands));
      return new PosternError('usage', '').exitStatus;
    case '-V':
    case '--version':
      return dispatch(['version', ...rest], io, commands);
    case '-h':
    case '--help':
    case 'help': {
      if (rest.length > 0 && first === 'help') return dispatch([...rest, '--help'], io, commands);
      await io.out((await import('./help.js')).overview(commands));
      return 0;
    }
    default:
      return start(await find(first, commands), `postern ${first}`, rest, io);
  }
}

async function find(name: string, commands: Table): Promise<AnyCommand> {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) throw await unknownCommand('postern', name, [...Object.keys(commands), 'help']);
  return entry.load();
}

async function start(found: AnyCommand, name: string, argv: readonly string[], io: Io): Promise<number | undefined> {
  if ('raw' in found) return found.raw(argv, io);
  if ('commands' in found) return startVerb(found, name, argv, io);
  const parsed = await parse(name, found, argv);
  if (parsed !== 'help') return found.run({ name, io, ...parsed });
  await io.out((await import('./help.js')).commandHelp(name, found));
  return 0;
}

async function startVerb(group: CommandGroup, name: string, argv: readonly string[], io: Io) {
  const [verb, ...rest] = argv;
  if (verb === '--help' || verb === '-h') {
    await io.out((await import('./help.js')).groupHelp(name, group));
    return 0;
  }
  if (verb === undefined) {
    io.err((await import('./help.js')).groupHelp(name, group));
    return new PosternError('usage', '').exitStatus;
  }
  const verbs: Readonly<Record<string, Command | RawCommand>> = group.commands;
  const found = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
  if (found === undefined) throw await unknownCommand(name, verb, Object.keys(verbs));
  return start(found, `${name} ${verb}`, rest, io);
}

async function unknownCommand(parent: string, name: string, known: readonly string[]): Promise<PosternError> {
  const { didYouMean } = await import('../policy/suggest.js');
  const hint = didYouMean(name, known) ?? `see '${parent} --help'`;
  return new PosternError('usage', `unknown command '${name}': ${hint}`);
}
