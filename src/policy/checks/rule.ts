/** What can't work in a rule, where it stands: an error, never a rule that matches nothing. */

import type { Action, Match, Rule } from '../ast.js';
import type { DiagnosticLog } from '../diagnostics.js';
import { isNumeric } from '../formats/icmp.js';
import { alternatives } from '../scalars.js';
import type { Place } from '../vocabulary.js';
import { type Lexicon, nameOf, wordOf } from '../words/lexicon.js';
import { familiesOf, protocolsOf, withPorts } from './narrow.js';
import { checkTranslation } from './translation.js';

/** Where a rule stands. */
export interface Standing {
  /** The name of its chain, or `nat`. */
  readonly chain: string;
  readonly places: readonly Place[];
  /** In a chain of the user's own. */
  readonly jumpedTo: boolean;
  /** Does `block` answer, as `block_policy: return` says? */
  readonly blockAnswers: boolean;
}

/** The places of its chain in which a rule can match. */
export function placesOfRule(rule: Rule, places: readonly Place[], lexicon: Lexicon): readonly Place[] {
  return rule.matches.reduce<readonly Place[]>((left, match) => common(left, lexicon.placesOfMatch(match)), places);
}

/** Reports what is wrong with a rule that was read without errors. */
export function checkRule(rule: Rule, standing: Standing, lexicon: Lexicon, log: DiagnosticLog): void {
  checkPlaces(rule, standing, lexicon, log);
  checkProtocols(rule, log);
  checkFamilies(rule, log);
  checkOrder(rule, lexicon, log);
  if (has(rule, 'fragment')) checkFragment(rule, standing, log);
  if (rule.actions.some(({ action }) => action === 'notrack')) checkUntracked(rule, log);
  if (standing.places.includes('ingress')) checkIngress(rule, log);
  if (standing.places.includes('nat')) checkTranslation(rule, log);
}

function checkPlaces(rule: Rule, standing: Standing, lexicon: Lexicon, log: DiagnosticLog): void {
  const { places } = standing;
  if (places.length === 0) return;
  let left = places;
  for (const match of rule.matches) {
    const allowed = lexicon.placesOfMatch(match);
    const word = `"${wordOf(match)}"`;
    if (common(places, allowed).length === 0) {
      const message = `${word} can't match in ${whereIn(standing, places)}`;
      log.error(match.at, message, `it can in ${alternatives(allowed ?? [])}`);
      return;
    }
    left = common(left, allowed);
    if (left.length > 0) continue;
    const message = `${word} and the matches before it can't all match in ${whereIn(standing, places)}`;
    log.error(match.at, message, 'split the rule');
    return;
  }
  for (const action of rule.actions) checkPlaceOfAction(action, left, standing, lexicon, log);
}

function checkPlaceOfAction(
  action: Action,
  places: readonly Place[],
  standing: Standing,
  lexicon: Lexicon,
  log: DiagnosticLog,
): void {
  const name = nameOf(action);
  const allowed = lexicon.placesOfAction(name === 'block' && standing.blockAnswers ? 'reject' : name);
  const refused = places.filter((place) => !allowed.includes(place));
  if (refused.length === 0) return;
  log.error(action.at, `"${name}" can't stand in ${whereIn(standing, refused)}`, `it can in ${alternatives(allowed)}`);
}

/** The chain, and what of it is meant when it is more than one place. */
function whereIn({ chain, jumpedTo }: Standing, places: readonly Place[]): string {
  const listed = alternatives(places).replace(/ or (?=\w+$)/, ' and ');
  if (jumpedTo) return `"${chain}", which is reached from ${listed}`;
  return chain === 'filter' ? `"filter", which is ${listed}` : `"${chain}"`;
}

function common(places: readonly Place[], allowed: readonly Place[] | undefined): readonly Place[] {
  return allowed === undefined ? places : places.filter((place) => allowed.includes(place));
}

const tcp = 6;

function checkProtocols(rule: Rule, log: DiagnosticLog): void {
  const { left, conflict } = protocolsOf(rule);
  if (conflict !== undefined) {
    log.error(conflict.at, conflict.message, conflict.hint);
    return;
  }
  const sport = rule.matches.find(({ word }) => word === 'sport');
  if (sport !== undefined && ![...left].every((number) => withPorts.has(number))) {
    log.error(sport.at, '"sport" needs a protocol that has ports', 'add "tcp: any", "udp: any" or "port: any"');
  }
  for (const action of rule.actions) {
    if (action.action !== 'reject' || action.with !== 'tcp-reset' || (left.size === 1 && left.has(tcp))) continue;
    log.error(action.at, '"reject with tcp-reset" answers only TCP', 'add "tcp:" to the rule, or "reject" otherwise');
  }
}

function checkFamilies(rule: Rule, log: DiagnosticLog): void {
  const { left, conflict } = familiesOf(rule);
  if (conflict !== undefined) {
    log.error(conflict.at, conflict.message, conflict.hint);
    return;
  }
  if (left.size === 1) return;
  for (const match of rule.matches) {
    if (match.word !== 'icmp' || match.types === 'any') continue;
    const numeric = [...match.types.any, ...match.types.not].find(isNumeric);
    if (numeric === undefined) continue;
    const message = `"${numeric.name}" is another ICMP message in IPv4 than in IPv6`;
    log.error(match.at, message, 'write a name, or add "family: ipv4"');
  }
}

/** Nothing may follow what ends the packet's way through the chain. */
function checkOrder(rule: Rule, lexicon: Lexicon, log: DiagnosticLog): void {
  const last = rule.actions.findIndex((action) => lexicon.actions.get(nameOf(action))?.final);
  const next = rule.actions[last + 1];
  if (last < 0 || next === undefined) return;
  const ended = nameOf(rule.actions[last]!);
  log.error(next.at, `"${nameOf(next)}" stands behind "${ended}" and is never reached`, `put "${ended}" last`);
}

/** Actions that make sense for a packet that is not whole yet. */
const ofFragments: ReadonlySet<Action['action']> = new Set(['drop', 'block', 'count', 'log', 'add', 'delete']);

function checkFragment(rule: Rule, { places, jumpedTo, chain }: Standing, log: DiagnosticLog): void {
  const match = rule.matches.find(({ word }) => word === 'fragment');
  if (match !== undefined && jumpedTo && places.some((place) => place !== 'ingress')) {
    const message = `"fragment" can't match in "${chain}": fragments are put together before it`;
    log.error(match.at, message, 'put the rule into input, forward or filter');
  }
  const action = rule.actions.find(({ action }) => !ofFragments.has(action));
  if (action === undefined) return;
  const hint = `it is judged again when it is whole; here it can be ${alternatives([...ofFragments])}`;
  log.error(action.at, `"${nameOf(action)}" can't be done to a fragment`, hint);
}

function checkUntracked(rule: Rule, log: DiagnosticLog): void {
  const match = rule.matches.find((match) => ['state', 'conns'].includes(match.word) || ofConnection(match));
  if (match !== undefined) {
    log.error(match.at, `"${wordOf(match)}" can't match before tracking, where "notrack" stands`, 'leave it out');
  }
  const action = rule.actions.find(ofConnection);
  if (action !== undefined) {
    log.error(action.at, 'a packet that is not tracked has no connection to mark', 'mark the packet');
  }
}

function checkIngress(rule: Rule, log: DiagnosticLog): void {
  const found = rule.matches.find(ofConnection) ?? rule.actions.find(ofConnection);
  if (found === undefined) return;
  log.error(found.at, 'there is no connection yet in "ingress" to have a mark', 'use the mark of the packet');
}

function ofConnection(part: Match | Action): boolean {
  return 'of' in part && part.of === 'connection';
}

function has(rule: Rule, word: Match['word']): boolean {
  return rule.matches.some((match) => match.word === word);
}
