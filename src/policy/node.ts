/** A policy as a tree of texts, lists and maps, each knowing where it stands. */

import type { Position } from './ast.js';

export type Node = Text | List | Mapping | Nothing;

export interface List {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly Node[];
}

export interface Mapping {
  readonly kind: 'map';
  readonly at: Position;
  /** Keys are unique. */
  readonly entries: readonly Entry[];
  /** As it was before macros were replaced. */
  readonly written?: Mapping;
}

export interface Entry {
  readonly key: Text;
  readonly value: Node;
}

/** Nothing stands after the colon or the dash. */
export interface Nothing {
  readonly kind: 'nothing';
  readonly at: Position;
  /** What stood here was wrong, and was reported. */
  readonly reported?: boolean;
}

/** A scalar, or a part of one. All scalars are texts until their schema says what they mean. */
export class Text {
  readonly kind = 'text';

  constructor(
    readonly value: string,
    readonly at: Position,
    /** Are the characters of `value` those of the source, so that a part of it has a position of its own? */
    private readonly verbatim: boolean,
    /** The macro that the text came from, as `$name`. */
    readonly macro?: string,
  ) {}

  /** The part from `start` up to `end`, at its own place if it has one. */
  slice(start: number, end = this.value.length): Text {
    const at = this.verbatim ? { ...this.at, column: this.at.column + start, length: end - start } : this.at;
    return new Text(this.value.slice(start, end), at, this.verbatim, this.macro);
  }

  /** The words between spaces. */
  words(): Text[] {
    return [...this.value.matchAll(/\S+/g)].map((found) => this.slice(found.index, found.index + found[0].length));
  }

  /** Another text in the same place: what macros make of it. */
  replaced(value: string, macro: string): Text {
    return new Text(value, this.at, false, macro);
  }

  /** What stands behind `not `, if the text begins so. */
  negated(): Text | undefined {
    const found = /^not\s+/.exec(this.value);
    return found === null ? undefined : this.slice(found[0].length);
  }
}

/** Words for a kind of node in messages. */
export function kindName(node: Node): string {
  switch (node.kind) {
    case 'text':
      return 'a single value';
    case 'list':
      return 'a list';
    case 'map':
      return 'a map';
    case 'nothing':
      return 'nothing';
  }
}

/** How many columns a shown line may take. */
const longestLine = 1000;

/** The node written as flow YAML on one line: how a rule reads in messages. */
export function oneLine(node: Node): string {
  const line = flow(node);
  return line.length <= longestLine ? line : `${line.slice(0, longestLine)}…`;
}

function flow(node: Node): string {
  switch (node.kind) {
    case 'text':
      return node.value.replace(/\s+/g, ' ');
    case 'list':
      return `[${node.items.map(flow).join(', ')}]`;
    case 'map':
      return node.entries.length === 0 ? '{}' : `{ ${node.entries.map(flowEntry).join(', ')} }`;
    case 'nothing':
      return '';
  }
}

function flowEntry({ key, value }: Entry): string {
  return `${key.value}: ${flow(value)}`.trimEnd();
}
