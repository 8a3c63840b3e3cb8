/** What the YAML parser made of a text, as a tree of nodes that knows its places. */

import { isAlias, isScalar, isSeq, type Pair, type ParsedNode, type Scalar, type YAMLMap } from 'yaml';
import type { Position } from './ast.js';
import type { DiagnosticLog } from './diagnostics.js';
import { type Entry, type Node, Text } from './node.js';

/** The place of the characters from `start` up to `end`. */
export type Placer = (start: number, end: number) => Position;

export class TreeBuilder {
  constructor(
    private readonly text: string,
    private readonly place: Placer,
    private readonly log: DiagnosticLog,
  ) {}

  node(node: ParsedNode): Node {
    if (isScalar(node)) return this.scalar(node as Scalar.Parsed);
    const at = this.place(node.range[0], endOf(node));
    if (isAlias(node)) {
      this.log.error(at, `"*${node.source}" is a YAML alias, which a policy has not`, useMacros);
      return { kind: 'nothing', at, reported: true };
    }
    this.refuseAnchor(node);
    if (this.refuseTag(node)) return { kind: 'nothing', at, reported: true };
    if (isSeq(node)) return { kind: 'list', at, items: node.items.map((item) => this.node(item)) };
    return { kind: 'map', at, entries: this.entries(node as YAMLMap.Parsed) };
  }

  private entries(map: YAMLMap.Parsed): Entry[] {
    const byName = new Map<string, Entry>();
    for (const pair of map.items) {
      const entry = this.entry(pair as Pair<ParsedNode, ParsedNode | null>);
      if (entry === undefined) continue;
      const { key } = entry;
      const earlier = byName.get(key.value);
      if (earlier === undefined) byName.set(key.value, entry);
      else this.log.error(key.at, `"${key.value}" stands here twice`, `it is already in line ${earlier.key.at.line}`);
    }
    return [...byName.values()];
  }

  private entry({ key, value }: Pair<ParsedNode, ParsedNode | null>): Entry | undefined {
    const name = this.node(key);
    if (name.kind !== 'text') {
      this.log.error(name.at, 'a key is missing here', 'a key is one word before a colon');
      return undefined;
    }
    const read: Node = value === null ? { kind: 'nothing', at: name.at } : this.node(value);
    const missing = read.kind === 'nothing' && !read.reported;
    return { key: name, value: missing ? { kind: 'nothing', at: name.at } : read };
  }

  private scalar(scalar: Scalar.Parsed): Node {
    const [start, end] = [scalar.range[0], endOf(scalar)];
    const at = this.place(start, end);
    this.refuseAnchor(scalar);
    if (this.refuseTag(scalar)) return { kind: 'nothing', at, reported: true };
    const value = typeof scalar.value === 'string' ? scalar.value : '';
    const quoted = scalar.type === 'QUOTE_SINGLE' || scalar.type === 'QUOTE_DOUBLE';
    if (!quoted && (value === '' || value === '~' || value === 'null')) return { kind: 'nothing', at };
    if (this.text.slice(start, end) === value) return new Text(value, at, true);
    if (quoted && this.text.slice(start + 1, end - 1) === value) {
      return new Text(value, this.place(start + 1, end - 1), true);
    }
    return new Text(value, at, false);
  }

  private refuseAnchor(node: ParsedNode): void {
    if (isAlias(node) || node.anchor === undefined) return;
    const at = this.placeBefore(node, `&${node.anchor}`);
    this.log.error(at, `"&${node.anchor}" is a YAML anchor, which a policy has not`, useMacros);
  }

  private refuseTag(node: ParsedNode): boolean {
    if (node.tag === undefined || node.tag === '') return false;
    const tag = node.tag.replace('tag:yaml.org,2002:', '!!');
    const meant = /^!([^!].*)$/.exec(tag)?.[1];
    const hint = meant === undefined ? 'leave it out' : `write "not ${meant}"`;
    this.log.error(this.placeBefore(node, tag), `"${tag}" is a YAML tag, which a policy has not`, hint);
    return true;
  }

  /** The place of a tag or an anchor, which stands shortly before its value. */
  private placeBefore({ range: [start, end] }: ParsedNode, written: string): Position {
    const from = Math.max(0, start - written.length - 80);
    const found = this.text.slice(from, start).lastIndexOf(written);
    return found < 0 ? this.place(start, end) : this.place(from + found, from + found + written.length);
  }
}

const useMacros = 'use `macros:` and `$name`';

/** Where the value itself ends: before trailing spaces and comments. */
function endOf(node: ParsedNode): number {
  return node.range[1];
}
