/** The actions of a rule as the end of an nft rule, or as a chain of their own. */

import type { ActionFragment, Line } from '../extensions/fragment.js';
import type { Family } from '../net/address.js';
import { goto, jump } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { isFor, joinLines } from './line.js';

/** A chain that is only jumped to, to be filled. */
export interface NewChain {
  readonly name: string;
  fill(lines: readonly Line[]): void;
}

/**
 * @param part `do` for the action, the number of the stage (from 1) for what decides on it, `rest` for the rules behind.
 */
export type MakeChain = (part: 'do' | 'rest' | number) => NewChain;

export interface Body {
  /** No packet goes on behind it: several rules may end in it, and the first that matches is the last. */
  readonly isFinal: boolean;
  /** It ends the policy's chain, from which the packet may come back. */
  readonly leaves: boolean;
  /** The end of a rule in the policy's chain. */
  asLine(makeChain: MakeChain): Line;
  /** What a chain that has decided does. */
  matched(makeChain: MakeChain): readonly Statement[];
}

/** @param families of packets that the rule is for. */
export function bodyOf(actions: readonly ActionFragment[], families: readonly Family[]): Body {
  const lines = linesOf(actions).filter((line) => families.some((family) => isFor(line, family)));
  const isFinal = actions.at(-1)?.final === true;
  const [only = { statements: [] }] = lines;
  const isInline = lines.length <= 1 && actions.every(({ inline }) => inline) && fits(only, families);
  const isPlain = only.family === undefined && only.protocols === undefined;
  const chain = (makeChain: MakeChain): string => {
    const made = makeChain('do');
    made.fill(lines);
    return made.name;
  };
  return {
    isFinal,
    leaves: actions.at(-1)?.leaves === true,
    asLine(makeChain) {
      if (isInline) return only;
      const name = chain(makeChain);
      return { statements: [isFinal ? goto(name) : jump(name)] };
    },
    matched: (makeChain) => (isInline && isFinal && isPlain ? only.statements : [goto(chain(makeChain))]),
  };
}

const fits = (line: Line, families: readonly Family[]): boolean => line.family === undefined || families.length === 1;

/** The actions one after the other; those that can share a line do. */
function linesOf(actions: readonly ActionFragment[]): Line[] {
  const lines: Line[] = [];
  let isOpen = false;
  for (const { lines: own, inline = false } of actions) {
    for (const line of own) {
      const previous = lines.at(-1);
      const agree = previous !== undefined && (previous.family === undefined || previous.family === line.family);
      if (inline && isOpen && agree) lines[lines.length - 1] = joinLines(previous, line);
      else lines.push(line);
      isOpen = inline && !endsInVerdict(line);
    }
  }
  return lines;
}

const verdicts = ['accept', 'drop', 'continue', 'return', 'jump', 'goto', 'reject', 'vmap'];

const endsInVerdict = ({ statements }: Line): boolean => {
  const last = statements.at(-1);
  return last !== undefined && verdicts.some((verdict) => verdict in last);
};
