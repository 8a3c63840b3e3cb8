/** Where chains of the user's own are reached from; loops, depth, and chains that nothing reaches. */

import type { Action, Chain, Rule } from '../ast.js';
import type { DiagnosticLog } from '../diagnostics.js';
import { baseChains } from '../formats/names.js';
import { closest } from '../suggest.js';
import type { Place } from '../vocabulary.js';
import type { Lexicon } from '../words/lexicon.js';
import { placesOfRule } from './rule.js';

type Jump = Extract<Action, { action: 'jump' | 'goto' }>;

interface Edge {
  readonly rule: Rule;
  readonly jump: Jump;
}

type Edges = ReadonlyMap<string, readonly Edge[]>;

/** The kernel follows 16 (NFT_JUMP_STACK_SIZE in nf_tables.h); the compiler needs some itself. */
const mostLevels = 12;

/** The places in which the rules of each chain stand; reports what is wrong with the jumps between chains. */
export function reachOf(
  chains: ReadonlyMap<string, Chain>,
  lexicon: Lexicon,
  log: DiagnosticLog,
): ReadonlyMap<string, readonly Place[]> {
  const edges: Edges = new Map([...chains].map(([name, chain]) => [name, edgesOf(chain, chains)]));
  const { order, looping } = callersFirst(edges);
  reportLoops(edges, looping, log);

  const places = new Map<string, Set<Place>>([...chains].map(([name, chain]) => [name, new Set(ownPlaces(chain))]));
  const levels = new Map<string, number>();
  for (const name of order) {
    for (const { rule, jump } of edges.get(name) ?? []) {
      for (const place of placesOfRule(rule, [...places.get(name)!], lexicon)) places.get(jump.chain)!.add(place);
      const level = (levels.get(name) ?? 0) + 1;
      if (level > (levels.get(jump.chain) ?? 0)) levels.set(jump.chain, level);
      if (level === mostLevels + 1) log.error(jump.at, `jumps go deeper than ${mostLevels} chains`, 'flatten some');
    }
  }
  const called = new Set([...edges.values()].flat().map(({ jump }) => jump.chain));
  for (const [name, chain] of chains) if (chain.kind === 'user' && !called.has(name)) reportUnused(chain, log);
  return new Map([...places].map(([name, set]) => [name, [...set]]));
}

function ownPlaces(chain: Chain): readonly Place[] {
  if (chain.kind === 'user') return [];
  return chain.kind === 'filter' ? ['input', 'forward', 'output'] : [chain.kind];
}

function edgesOf(chain: Chain, chains: ReadonlyMap<string, Chain>): Edge[] {
  return chain.rules.flatMap((rule) =>
    rule.actions.flatMap((action) => (isJump(action) && chains.has(action.chain) ? [{ rule, jump: action }] : [])),
  );
}

function isJump(action: Action): action is Jump {
  return action.action === 'jump' || action.action === 'goto';
}

/** Kahn's order; what is in a loop, or behind one, is left over. */
function callersFirst(edges: Edges): { order: string[]; looping: Set<string> } {
  const callers = new Map<string, number>([...edges.keys()].map((name) => [name, 0]));
  for (const { jump } of [...edges.values()].flat()) callers.set(jump.chain, callers.get(jump.chain)! + 1);
  const order = [...callers].filter(([, count]) => count === 0).map(([name]) => name);
  for (const name of order) {
    for (const { jump } of edges.get(name)!) {
      const left = callers.get(jump.chain)! - 1;
      callers.set(jump.chain, left);
      if (left === 0) order.push(jump.chain);
    }
  }
  const looping = new Set([...callers].filter(([, count]) => count > 0).map(([name]) => name));
  return { order, looping };
}

/** A walk in depth; a jump to a chain that is still being walked closes a loop. */
function reportLoops(edges: Edges, looping: ReadonlySet<string>, log: DiagnosticLog): void {
  const left = new Set<string>();
  const visited = new Set<string>();
  for (const start of looping) {
    const path: { readonly name: string; readonly rest: Iterator<Edge> }[] = [];
    const enter = (name: string) => {
      visited.add(name);
      path.push({ name, rest: (edges.get(name) ?? []).values() });
    };
    if (!visited.has(start)) enter(start);
    for (let here = path.at(-1); here !== undefined; here = path.at(-1)) {
      const next = here.rest.next();
      if (next.done) {
        left.add(here.name);
        path.pop();
        continue;
      }
      const { jump } = next.value;
      if (!visited.has(jump.chain)) enter(jump.chain);
      else if (!left.has(jump.chain))
        reportLoop(
          jump,
          path.map(({ name }) => name),
          log,
        );
    }
  }
}

function reportLoop(jump: Jump, path: readonly string[], log: DiagnosticLog): void {
  const chains = path.slice(path.indexOf(jump.chain));
  const shown = chains.length > 6 ? [...chains.slice(0, 5), '…'] : chains;
  const loop = [...shown, jump.chain].join(' → ');
  log.error(jump.at, `"${jump.action} ${jump.chain}" closes a loop: ${loop}`, 'a packet would never leave it');
}

/** A chain that nothing jumps to is idle; one that is called almost like a base chain is a misspelt firewall. */
function reportUnused(chain: Chain, log: DiagnosticLog): void {
  const meant = closest(chain.name, baseChains);
  const message = `nothing jumps to chain "${chain.name}"`;
  if (meant === undefined) log.warn(chain.at, message, 'jump to it, or take it out');
  else log.error(chain.at, message, `did you mean "${meant}"?`);
}
