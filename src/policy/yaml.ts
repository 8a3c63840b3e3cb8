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
    log.error(place(tooDeep, tooDeep + 1), `is nested deeper than ${mostLevels} levels`);
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

/** These leave a tree that means what was meant, so that the rest can be judged, too. */
const harmless = new Set(['TAB_AS_INDENT']);

/** Reports what the YAML parser found; true when the tree can't be trusted. */
function reportSyntax(document: Document.Parsed, text: string, place: Placer, log: DiagnosticLog): boolean {
  let fatal = false;
  for (const error of document.errors) {
    const [message, hint] = syntaxText(error, text);
    log.error(place(error.pos[0], Math.min(error.pos[1], error.pos[0] + 1)), message, hint);
    if (!harmless.has(error.code)) fatal = true;
  }
  return fatal;
}

function syntaxText({ code, message, pos }: YAMLParseError, text: string): [message: string, hint?: string] {
  const found = text[pos[0]];
  const line = message.split('\n', 1)[0]!;
  switch (code) {
    case 'TAB_AS_INDENT':
      return ['a tab indents this line', 'YAML takes only spaces'];
    case 'MULTIPLE_DOCS':
      return ['a second YAML document begins here', 'a policy is one document'];
    case 'BAD_SCALAR_START':
      return [`no value can begin with "${found}"`, 'put it in quotes if it is meant so'];
    case 'UNEXPECTED_TOKEN':
      if (line.startsWith('Block scalar header')) {
        return ['">" begins a block of text in YAML', 'write a range, as in 1025-65535'];
      }
      return [`YAML: ${line}`];
    default:
      return [`YAML: ${line}`];
  }
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
    const { tag } = node;
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
