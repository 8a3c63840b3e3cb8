/** YAML 1.2 text to a tree of nodes. Every scalar stays a text; anchors, aliases and tags are not part of the language. */

import {
  type Document,
  isAlias,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Pair,
  type ParsedNode,
  parseDocument,
  type Scalar,
  type YAMLMap,
  type YAMLParseError,
} from 'yaml';
import type { Position } from './ast.js';
import type { DiagnosticLog } from './diagnostics.js';
import { type Entry, type Node, Text } from './node.js';

/** A policy names lists of addresses as files; its own text stays small. */
export const mostCharacters = 4 * 1024 * 1024;
const mostLevels = 50;
const mostIndent = 500;

/**
 * Reads one YAML document. What is wrong goes to the log.
 * @returns undefined when the text is no YAML that can be judged further, or is empty.
 */
export function readYaml(text: string, file: string, log: DiagnosticLog): Node | undefined {
  const lines = new LineCounter();
  const place = placer(file, lines);
  if (text.length > mostCharacters) {
    const message = `the policy has ${text.length} characters; ${mostCharacters} are the most`;
    log.error(
      { file, line: 1, column: 1 },
      message,
      'put long lists into files, and name them with `file:` of a table',
    );
    return undefined;
  }
  const tooDeep = findTooDeep(text);
  const document = parseDocument(tooDeep === undefined ? text : text.slice(0, tooDeep), {
    schema: 'failsafe',
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  if (tooDeep !== undefined) {
    log.error(place(tooDeep, tooDeep + 1), `the policy is nested deeper than ${mostLevels} levels here`);
    return undefined;
  }
  return reportSyntax(document, text, place, log)
    ? undefined
    : new TreeBuilder(text, place, log).root(document.contents);
}

type Placer = (start: number, end: number) => Position;

function placer(file: string, lines: LineCounter): Placer {
  return (start, end) => {
    const { line, col } = lines.linePos(start);
    return { file, line: Math.max(1, line), column: Math.max(1, col), length: Math.max(1, end - start) };
  };
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
    const { message, hint } = syntaxProblem(error, text[error.pos[0]] ?? '');
    log.error(place(error.pos[0], Math.min(error.pos[1], error.pos[0] + 1)), message, hint);
  }
  return document.errors.length > 0;
}

interface Problem {
  readonly message: string;
  readonly hint?: string;
}

/** The problems that policies are likely to have, in words of the policy; the others as YAML's parser puts them. */
function syntaxProblem({ code, message }: YAMLParseError, found: string): Problem {
  if (code === 'TAB_AS_INDENT') return { message: 'a tab indents this line', hint: 'YAML takes only spaces' };
  if (code === 'MULTIPLE_DOCS') {
    return { message: 'a second YAML document begins here', hint: 'a policy is one document' };
  }
  if (code === 'BAD_SCALAR_START') {
    return { message: `no value can begin with "${found}"`, hint: 'put it in quotes if it is meant so' };
  }
  if (message.startsWith('Block scalar header')) {
    return { message: '">" begins a block of text in YAML', hint: 'write a range of ports as 1025-65535' };
  }
  if (message.startsWith('Unexpected flow-seq-start')) {
    return { message: '"[" begins a list in YAML', hint: 'write an address and its port as "2001:db8::1 port 80"' };
  }
  const [, bracket] = /must be sufficiently indented and end with a ([\]}])/.exec(message) ?? [];
  if (bracket !== undefined) return { message: `"${bracket}" is missing before this` };
  return { message: `YAML: ${message.split('\n', 1)[0]}` };
}

class TreeBuilder {
  constructor(
    private readonly text: string,
    private readonly place: Placer,
    private readonly log: DiagnosticLog,
  ) {}

  root(contents: ParsedNode | null): Node | undefined {
    return contents === null ? undefined : this.node(contents, 0);
  }

  /** `offset` is where the value would stand, if there is none. */
  private node(node: unknown, offset: number): Node {
    if (isScalar(node)) return this.scalar(node as Scalar.Parsed);
    const parsed = node as ParsedNode | null;
    if (parsed === null) return { kind: 'nothing', at: this.place(offset, offset) };
    const at = this.place(parsed.range[0], endOf(parsed));
    if (isAlias(parsed)) {
      this.log.error(at, `"*${parsed.source}" is a YAML alias, which a policy has not`, 'use `macros:` and `$name`');
      return { kind: 'nothing', at, reported: true };
    }
    this.refuseProperties(parsed);
    if (isSeq(parsed)) {
      return { kind: 'list', at, items: parsed.items.map((item) => this.node(item, parsed.range[0])) };
    }
    return { kind: 'map', at, entries: this.entries(parsed as YAMLMap.Parsed) };
  }

  private entries(map: YAMLMap.Parsed): Entry[] {
    const byName = new Map<string, Entry>();
    for (const pair of map.items) {
      const entry = this.entry(pair as Pair<ParsedNode, ParsedNode | null>, map);
      if (entry === undefined) continue;
      const { key } = entry;
      const earlier = byName.get(key.value);
      if (earlier === undefined) byName.set(key.value, entry);
      else this.log.error(key.at, `"${key.value}" stands here twice`, `it is already in line ${earlier.key.at.line}`);
    }
    return [...byName.values()];
  }

  private entry({ key, value }: Pair<ParsedNode, ParsedNode | null>, map: YAMLMap.Parsed): Entry | undefined {
    const name = this.node(key, map.range[0]);
    if (name.kind !== 'text') {
      this.log.error(name.at, 'a key is missing here', 'a key is one word before a colon');
      return undefined;
    }
    return { key: name, value: this.node(value, endOf(key)) };
  }

  private scalar(scalar: Scalar.Parsed): Node {
    const [start, end] = [scalar.range[0], endOf(scalar)];
    const at = this.place(start, end);
    const misusedTag = this.refuseProperties(scalar);
    const value = typeof scalar.value === 'string' ? scalar.value : '';
    const quoted = scalar.type === 'QUOTE_SINGLE' || scalar.type === 'QUOTE_DOUBLE';
    if (misusedTag) return { kind: 'nothing', at, reported: true };
    if (!quoted && (value === '' || value === '~' || value === 'null')) return { kind: 'nothing', at };
    if (this.text.slice(start, end) === value) return new Text(value, at, true);
    if (quoted && this.text.slice(start + 1, end - 1) === value) {
      return new Text(value, this.place(start + 1, end - 1), true);
    }
    return new Text(value, at, false);
  }

  /** Reports a tag or an anchor; true for a tag, which swallows the value. */
  private refuseProperties(node: ParsedNode): boolean {
    const [start, end] = node.range;
    if (!isAlias(node) && node.anchor !== undefined) {
      const message = `"&${node.anchor}" is a YAML anchor, which a policy has not`;
      this.log.error(this.place(start, end), message, 'use `macros:` and `$name`');
    }
    if (node.tag === undefined || node.tag === '') return false;
    const tag = node.tag.replace('tag:yaml.org,2002:', '!!');
    const meant = tag.startsWith('!') && !tag.startsWith('!!') ? tag.slice(1) : '';
    const hint = meant === '' ? 'leave it out' : `write "not ${meant}"`;
    const at = meant === '' ? this.place(start, end) : this.place(Math.max(0, start - tag.length - 1), start);
    this.log.error(at, `"${tag}" is a YAML tag, which a policy has not`, hint);
    return true;
  }
}

/** Where the value itself ends: before trailing spaces and comments. */
function endOf(node: ParsedNode): number {
  return node.range[1];
}
