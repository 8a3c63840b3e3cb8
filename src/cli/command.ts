/**
 * What a command is. A command is one file with one description: the parser, `--help` and the check of its arguments
 * are made from it. Kept free of imports with a cost, since every command pays for them at start.
 */

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  /** One letter. */
  readonly short?: string;
  /** May stand more than once; the values become a list. */
  readonly multiple?: boolean;
  /** What stands for the value in the help: `FILE`. */
  readonly value?: string;
  readonly help: string;
}

export type Options = Readonly<Record<string, OptionSpec>>;

type Value<S extends OptionSpec> = S['type'] extends 'boolean' ? boolean : string;

export type Values<O extends Options> = {
  readonly [K in keyof O]?: O[K]['multiple'] extends true ? readonly Value<O[K]>[] : Value<O[K]>;
};

/** The streams and surroundings of a command. Tests give their own. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean };
  /** Writes to standard output; settles when more may be written. */
  out(text: string): Promise<void>;
  /** Writes to standard error. */
  err(text: string): void;
  /** Lines of the terminal that standard output goes to; absent: it goes elsewhere. */
  readonly screenRows?: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Call<O extends Options = Options> {
  /** As it is written: `postern table add`. */
  readonly name: string;
  readonly values: Values<O>;
  readonly args: readonly string[];
  readonly io: Io;
}

export interface Example {
  readonly command: string;
  readonly what: string;
}

/** A command whose arguments are described and parsed by us. */
export interface Command<O extends Options = Options> {
  /** One line, a verb first, no period. */
  readonly summary: string;
  /** Positional arguments: `TABLE [ENTRY...]`. Their number is checked. None when absent. */
  readonly args?: string;
  readonly options?: O;
  /** Paragraphs below the summary. */
  readonly about?: string;
  readonly examples?: readonly Example[];
  /** Answers the exit status; 0 when nothing is answered. Failures are thrown as PosternError. */
  run(call: Call<O>): Promise<number | undefined>;
}

/** A command that keeps the command line of a program it stands for, `--help` included. */
export interface RawCommand {
  readonly summary: string;
  raw(argv: readonly string[], io: Io): Promise<number>;
}

/** Commands with a common first word: `table add`, `table show`. */
export interface CommandGroup {
  readonly summary: string;
  readonly about?: string;
  readonly commands: Readonly<Record<string, Command | RawCommand>>;
}

export type AnyCommand = Command | RawCommand | CommandGroup;

/** Keeps the types of the options for `run`, then forgets them. */
export function command<const O extends Options>(description: Command<O>): Command {
  return description;
}

export const topics = ['Policy', 'Daemon', 'Tables and accounts', 'Knocks', 'Compatible programs', 'Other'] as const;

/** What `postern help` says of a command, and where it is. */
export interface CommandEntry {
  readonly topic: (typeof topics)[number];
  readonly summary: string;
  load(): Promise<AnyCommand>;
}
