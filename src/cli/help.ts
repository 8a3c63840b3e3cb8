/** `--help` of every command, made from its description. */

import { type Command, type CommandEntry, type CommandGroup, type Example, type Options, topics } from './command.js';

const width = 78;

/** `postern help`. */
export function overview(commands: Readonly<Record<string, CommandEntry>>): string {
  const lines = [
    'Usage: postern COMMAND [ARGUMENT...]',
    '',
    'A YAML policy, a stock kernel, and a daemon that keeps them in step.',
  ];
  for (const topic of topics) {
    const rows = Object.entries(commands)
      .filter(([, entry]) => entry.topic === topic)
      .map(([name, entry]): Row => [name, entry.summary]);
    if (rows.length > 0) lines.push('', `${topic}:`, ...columns(rows));
  }
  return text([...lines, '', `'postern help COMMAND' or 'postern COMMAND --help' tells more.`]);
}

/** `postern table --help`. */
export function groupHelp(name: string, group: CommandGroup): string {
  const rows = Object.entries(group.commands).map(([verb, { summary }]): Row => [verb, summary]);
  return text([
    `Usage: ${name} COMMAND [ARGUMENT...]`,
    '',
    ...sentence(group.summary),
    ...paragraphs(group.about),
    '',
    'Commands:',
    ...columns(rows),
    '',
    `'${name} COMMAND --help' tells more.`,
  ]);
}

/** `postern table add --help`. */
export function commandHelp(name: string, command: Command): string {
  const options: Options = { ...command.options, help: { type: 'boolean', short: 'h', help: 'show this help' } };
  return text([
    ['Usage:', name, '[OPTION...]', command.args].filter((part) => part !== undefined).join(' '),
    '',
    ...sentence(command.summary),
    ...paragraphs(command.about),
    '',
    'Options:',
    ...columns(Object.entries(options).map(optionRow)),
    ...examples(command.examples ?? []),
  ]);
}

type Row = readonly [left: string, right: string];

function optionRow([name, option]: [string, Options[string]]): Row {
  const short = option.short === undefined ? '    ' : `-${option.short}, `;
  const value = option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : '';
  return [`${short}--${name}${value}`, option.multiple === true ? `${option.help} (may be repeated)` : option.help];
}

function examples(list: readonly Example[]): string[] {
  if (list.length === 0) return [];
  return ['', 'Examples:', ...list.flatMap(({ command, what }) => [`  ${command}`, `      ${what}`])];
}

function columns(rows: readonly Row[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  return rows.flatMap(([name, what]) =>
    wrap(what, width - left).map((line, index) => `${(index === 0 ? `  ${name}` : '').padEnd(left)}${line}`),
  );
}

function paragraphs(about: string | undefined): string[] {
  if (about === undefined) return [];
  return about.split('\n\n').flatMap((paragraph) => ['', ...paragraph.split(/\n(?= {2})/).flatMap(flowing)]);
}

/** A paragraph, or a row of a table below it: `  WORD    what it means`. */
function flowing(lines: string): string[] {
  const text = lines.replaceAll('\n', ' ');
  const word = /^ {2}\S+ {2,}/.exec(text)?.[0];
  if (word === undefined) return wrap(text, width);
  const [first = '', ...rest] = wrap(text.slice(word.length), width - word.length);
  return [word + first, ...rest.map((line) => ' '.repeat(word.length) + line)];
}

function wrap(words: string, columnCount: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columnCount) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function sentence(summary: string): string[] {
  return wrap(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`, width);
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
