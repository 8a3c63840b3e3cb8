/** YAML 1.2 text to a tree of nodes. Every scalar stays a text; anchors, aliases and tags are not part of the language. */

import { type Document, Lexer, parseDocument, type YAMLParseError } from 'yaml';
import type { DiagnosticLog } from './diagnostics.js';
import type { Node } from './node.js';
import { type Placer, TreeBuilder } from './yaml-tree.js';

/** A policy names lists of addresses as files; its own text stays small. */
export const mostCharacters = 4 * 1024 * 1024;
const mostLevels = 50;
const mostIndent = 500;

/**
 * Reads one YAML document. What is wrong goes to the log.
 * @returns undefined when the text is no YAML that can be judged further, or is empty.
 */
export function readYaml(text: string, file: string, log: DiagnosticLog): Node | undefined {
  if (text.length > mostCharacters) {
    const message = `the policy has ${text.length} characters; ${mostCharacters} are the most`;
    log.error(
      { file, line: 1, column: 1 },
      message,
      'put long lists into files, and name them with `file:` of a table',
    );
    return undefined;
  }
  const place = placer(file, text);
  const tooDeep = findTooDeep(text);
  const document = parseDocument(tooDeep === undefined ? text : text.slice(0, tooDeep), {
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  if (tooDeep !== undefined) {
    log.error(place(tooDeep, tooDeep + 1), `the policy is nested deeper than ${mostLevels} levels here`);
    return undefined;
  }
  const { contents } = document;
  if (reportSyntax(document, text, place, log) || contents === null) return undefined;
  return new TreeBuilder(text, place, log).node(contents);
}

/** Lines end at line feeds; the YAML parser's own counter misses those inside keys. */
function placer(file: string, text: string): Placer {
  const starts = [0];
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1);
  return (start, end) => {
    const line = lastAtMost(starts, start);
    return { file, line: line + 1, column: start - starts[line]! + 1, length: Math.max(1, end - start) };
  };
}

/** The index of the last of the ascending numbers that is not above `bound`; the first is 0. */
function lastAtMost(ascending: readonly number[], bound: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (ascending[middle]! <= bound) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The offset where the nesting gets deeper than anyone writes; the YAML parser's own cost grows with its square. */
function findTooDeep(text: string): number | undefined {
  let offset = 0;
  let flowLevels = 0;
  let dashes = 0;
  let lineStart = true;
  for (const token of new Lexer().lex(text)) {
    if (token === '\x02' || token === '\x18' || token === '\x1f') continue;
    if (token === '[' || token === '{') flowLevels++;
    else if (token === ']' || token === '}') flowLevels = Math.max(0, flowLevels - 1);
    else if (token === '-' || token === '?') dashes++;
    else if (token.startsWith('\n') || token.startsWith('\r')) dashes = 0;
    const indent = lineStart && flowLevels === 0 && /^ +$/.test(token) ? token.length : 0;
    if (flowLevels > mostLevels || dashes > mostLevels || indent > mostIndent) return offset;
    lineStart = token.endsWith('\n');
    offset += token.length;
  }
  return undefined;
}

/** Reports what the YAML parser found; true when there was anything, so that the tree can't be trusted. */
function reportSyntax(document: Document.Parsed, text: string, place: Placer, log: DiagnosticLog): boolean {
  for (const error of document.errors) {
    const start = error.pos[0];
    const { message, hint, before = 0 } = syntaxProblem(error, text.slice(Math.max(0, start - 20), start + 1));
    log.error(place(start - before, start - before + 1), message, hint);
  }
  return document.errors.length > 0;
}

interface Problem {
  readonly message: string;
  readonly hint?: string;
  /** How many characters earlier it really is. */
  readonly before?: number;
}

/** What was meant by the bracket at the end of the text. */
function insteadOfBracket(upTo: string): string {
  if (/\bnot +\[$/.test(upTo)) return 'write "not" before each member: [not a, not b]';
  return 'write an address and its port as "2001:db8::1 port 80"';
}

/** The problems that policies are likely to have, in words of the policy; the others as YAML's parser puts them. */
function syntaxProblem({ code, message }: YAMLParseError, upTo: string): Problem {
  if (code === 'TAB_AS_INDENT') return { message: 'a tab indents this line', hint: 'YAML takes only spaces' };
  if (code === 'MULTIPLE_DOCS') {
    return { message: 'a second YAML document begins here', hint: 'a policy is one document' };
  }
  if (code === 'BAD_SCALAR_START') {
    return { message: `no value can begin with "${upTo.at(-1)}"`, hint: 'put it in quotes if it is meant so' };
  }
  if (message.startsWith('Block scalar header')) {
    return { message: '">" begins a block of text in YAML', hint: 'write a range of ports as 1025-65535', before: 1 };
  }
  if (message.startsWith('Unexpected flow-seq-start')) {
    return { message: '"[" begins a list in YAML', hint: insteadOfBracket(upTo) };
  }
  const [, bracket] = /must be sufficiently indented and end with a ([\]}])/.exec(message) ?? [];
  if (bracket !== undefined) return { message: `"${bracket}" is missing before this` };
  return { message: `YAML: ${message.split('\n', 1)[0]}` };
}
