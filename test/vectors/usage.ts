/**
 * The lists `usage` of the golden files: command lines of iptables that the recorded front end and kernel took or refused,
 * each as a rule of a policy that is taken, or refused at its line with what to do instead.
 */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { compilePolicy } from '../../src/compiler/compile.js';
import { PosternError } from '../../src/errors.js';
import type { IptablesOption, IptablesReading, IptablesSyntax } from '../../src/extensions/iptables.js';
import { extensions, vocabulary } from '../../src/extensions/registry.js';
import type { Diagnostic } from '../../src/policy/diagnostics.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { type RowDifference, RowRun } from './row-run.js';

export interface UsageRow {
  readonly cmd: string;
  readonly rc: number;
}

/** A command line, as far as differences are told by it. */
export interface Command {
  readonly family: 4 | 6;
  /** `filter` when the command names none. */
  readonly table: string;
  readonly chain: string;
  readonly protocol?: string;
  readonly protocolNegated: boolean;
  readonly port?: string;
  readonly kind: IptablesSyntax['kind'];
  readonly module: string;
  /** As they stood there, the same more than once. */
  readonly options: readonly (readonly [name: string, option: IptablesOption])[];
}

/** Words of a shell's line; quotes hold one together. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

const syntaxOf = (kind: IptablesSyntax['kind'], module: string): IptablesSyntax => {
  const found = extensions
    .flatMap(({ iptables = [] }) => iptables)
    .find((known) => known.kind === kind && known.module === module);
  assert.ok(found, `no extension reads ${module}`);
  return found;
};

export function readCommand(line: string): Command {
  const words = wordsOf(line);
  const family = words.shift() === 'ip6tables' ? 6 : 4;
  const said: Record<string, string> = { t: 'filter' };
  const options: [string, IptablesOption][] = [];
  let [negated, protocolNegated] = [false, false];
  let syntax: IptablesSyntax | undefined;
  let named: Pick<Command, 'kind' | 'module'> | undefined;
  while (words.length > 0) {
    const word = words.shift()!;
    if (word === '!') {
      negated = true;
      continue;
    }
    const name = word.replace(/^--?/, '');
    if (syntax !== undefined) {
      const takes = syntax.options[name] ?? 0;
      options.push([name, { negated, ...(takes === 1 && { value: words.shift() ?? '' }) }]);
    } else if (word === '-m' && /^(tcp|udp)$/.test(words[0] ?? '')) {
      words.shift();
    } else if (word === '-m' || word === '-j') {
      named = { kind: word === '-m' ? 'match' : 'target', module: words.shift()! };
      syntax = syntaxOf(named.kind, named.module);
    } else {
      said[name] = words.shift()!;
      if (word === '-p') protocolNegated = negated;
    }
    negated = false;
  }
  assert.ok(named && said.A, `no rule: ${line}`);
  return {
    family,
    table: said.t!,
    chain: said.A,
    protocolNegated,
    ...(said.p !== undefined && { protocol: said.p }),
    ...(said.dport !== undefined && { port: said.dport }),
    ...named,
    options,
  };
}

/** The keys of a rule for `-p` and `--dport`. */
function protocolKeys({ protocol, protocolNegated, port = 'any' }: Command): Record<string, string> {
  if (protocol === undefined) return {};
  if (protocolNegated) return { proto: `not ${protocol}` };
  return protocol === 'tcp' || protocol === 'udp' ? { [protocol]: port } : { proto: protocol };
}

const sectionLine = 3;
const ruleLine = 8;

/** YAML takes JSON. */
function policyText(command: Command, { match = {}, action, sections = [] }: IptablesReading): string {
  const named: Record<string, Record<string, unknown>> = {};
  for (const [section, name, value] of sections) named[section] = { ...named[section], [name]: value };
  const family = command.family === 6 ? { family: 'ipv6' } : {};
  const rule = { ...family, ...protocolKeys(command), ...match, do: action ?? 'count' };
  // The original of ECHO answers in INPUT and FORWARD what ours answers before either.
  const chain = command.module === 'ECHO' && command.chain !== 'OUTPUT' ? 'ingress' : command.chain;
  const own = Object.entries(named).map(([section, value]) => `${JSON.stringify(section)}: ${JSON.stringify(value)}`);
  return [
    'version: 1',
    'hygiene: off',
    own.join('\n') || '# no section',
    'chains:',
    `  ${chain.toLowerCase()}:`,
    chain === 'ingress' ? '    on: wan' : '# of the whole host',
    '    rules:',
    `      - ${JSON.stringify(rule)}`,
  ].join('\n');
}

/** Why a command is refused; nothing when it is taken. @throws AssertionError for an error that tells neither place nor way out. */
export function objections(command: Command): readonly string[] {
  const syntax = syntaxOf(command.kind, command.module);
  const { negatable = [] } = syntax;
  const unreadable = command.options.flatMap(([name, { negated }]) => {
    if (!(name in syntax.options)) return [`no option --${name}`];
    return negated && !negatable.includes(name) ? [`no ! before --${name}`] : [];
  });
  if (unreadable.length > 0) return unreadable;
  const text = textOf(command, syntax);
  if (text instanceof PosternError) return [text.message];
  return errorsIn(text).map(({ at, message, hint }) => {
    assert.ok(hint !== undefined || tellsTheWayOut.test(message), `nothing says what to do: ${message}`);
    assert.ok(at.line === sectionLine || at.line === ruleLine, `line ${at.line} is no rule's: ${message}`);
    return message;
  });
}

/** Messages that need no hint beside them: they name the bound, the missing key, or the words to choose from. */
const tellsTheWayOut = /; |longer than|more than|is missing in|is not a whole number|is not [a-z-]+(, [a-z-]+)* or /;

function textOf(command: Command, syntax: IptablesSyntax): string | PosternError {
  try {
    return policyText(command, syntax.read(new Map(command.options)));
  } catch (error) {
    if (error instanceof PosternError) return error;
    throw error;
  }
}

function errorsIn(text: string): Diagnostic[] {
  const { policy, diagnostics } = parsePolicy(text, { file: 'p.yaml', vocabulary });
  const all = policy === undefined ? diagnostics : compilePolicy(policy).diagnostics;
  return all.filter(({ severity }) => severity === 'error');
}

const isTwice = ({ options }: Command): boolean => new Set(options.map(([name]) => name)).size < options.length;
const twice: RowDifference<Command> = {
  reason: 'a word stands once in a rule, and YAML refuses it twice',
  applies: isTwice,
};

/** Differences that take what the original refuses, and refuse what it takes. */
export const takes = (reason: string, applies: (command: Command) => boolean): RowDifference<Command> => ({
  reason,
  applies,
  expected: () => 'taken',
});
export const refuses = (reason: string, applies: (command: Command) => boolean): RowDifference<Command> => ({
  reason,
  applies,
  expected: () => 'refused',
});

/** The value of an option as it was given last. */
export const given = ({ options }: Command, name: string): string | undefined =>
  options.findLast(([option]) => option === name)?.[1].value;

/** Holds each command against the recorded return code. */
export function replayUsage(
  t: TestContext,
  rows: readonly UsageRow[],
  differences: Readonly<Record<string, RowDifference<Command>>> = {},
): void {
  const run = new RowRun<Command>({ 'an option twice': twice, ...differences });
  for (const { cmd, rc } of rows) {
    const command = readCommand(cmd);
    const said = objections(command);
    const found = said.length === 0 ? 'taken' : 'refused';
    run.check(`${cmd} (${said.join(' | ')})`, command, found, rc === 0 ? 'taken' : 'refused');
  }
  run.end(t, rows.length);
}
