/** What can't work in a rule of `nat:`. */

import type { AddressRange } from '../../net/address.js';
import { rangePrefix } from '../../net/prefix.js';
import type { Action, Match, NumberRange, Rule } from '../ast.js';
import type { DiagnosticLog } from '../diagnostics.js';
import { nameOf, wordOf } from '../words/lexicon.js';
import { protocolsOf, withPorts } from './narrow.js';

type Translation = Extract<Action, { action: 'masquerade' | 'snat' | 'dnat' | 'redirect' | 'map' }>;

const translations: ReadonlySet<Action['action']> = new Set(['masquerade', 'snat', 'dnat', 'redirect', 'map']);

export function isTranslation(action: Action): action is Translation {
  return translations.has(action.action);
}

export function checkTranslation(rule: Rule, log: DiagnosticLog): void {
  const [first, second] = rule.actions.filter(isTranslation);
  if (second !== undefined) {
    log.error(second.at, `"${second.action}" stands beside "${first?.action}"`, 'a rule translates once: split it');
  }
  if (first === undefined) {
    if (!rule.actions.some(({ action }) => action === 'accept')) {
      log.error(
        rule.at,
        'this rule translates nothing',
        'add dnat, snat, masquerade, redirect, map, or accept for "as it is"',
      );
    }
    return;
  }
  checkDirection(rule, first, log);
  checkStates(rule, log);
  if (first.action === 'map') checkMap(rule, first, log);
  else checkPorts(rule, first, log);
}

/** Destinations are translated before routing, where no interface to leave by is known; sources behind it. */
function checkDirection(rule: Rule, translation: Translation, log: DiagnosticLog): void {
  if (translation.action !== 'dnat' && translation.action !== 'redirect') return;
  const out = rule.matches.find(({ word }) => word === 'out');
  if (out === undefined) return;
  log.error(out.at, `"out" can't match with "${translation.action}"`, 'the packet has no way out yet: use "in"');
}

/** A nat chain sees only the first packet of a connection. */
function checkStates(rule: Rule, log: DiagnosticLog): void {
  for (const match of rule.matches) {
    if (match.word !== 'state') continue;
    const never = match.states.any.find((state) => !['new', 'related', 'dnat', 'snat'].includes(state));
    if (never === undefined) continue;
    log.error(match.at, `"state: ${never}" can't match in "nat"`, 'only the first packet of a connection comes here');
  }
}

function checkMap(rule: Rule, map: Extract<Translation, { action: 'map' }>, log: DiagnosticLog): void {
  const { inside, outside } = map;
  if (inside.family !== outside.family) {
    log.error(map.at, '"map" has an IPv4 and an IPv6 side', 'both sides are of one family');
  } else if (size(inside) !== size(outside)) {
    log.error(map.at, '"map" has sides of different size', 'one inside address has one outside address');
  } else if (rangePrefix(inside) === undefined || rangePrefix(outside) === undefined) {
    log.error(map.at, '"map" takes addresses or prefixes, not ranges', 'split the range into prefixes');
  }
  const other = rule.matches.find((match) => !fitsMap(match));
  if (other !== undefined) {
    log.error(other.at, `"${wordOf(other)}" can't stand with "map"`, 'a map takes "on:" and "family:" only');
  }
  const behind = rule.actions.find((action) => action !== map);
  if (behind !== undefined) {
    log.error(behind.at, `"${nameOf(behind)}" can't stand with "map"`, 'a map works in both directions, by itself');
  }
}

function fitsMap({ word }: Match): boolean {
  return word === 'via' || word === 'family';
}

function checkPorts(rule: Rule, translation: Exclude<Translation, { action: 'map' }>, log: DiagnosticLog): void {
  const { action, at, port } = translation;
  if (port === undefined) return;
  const { left } = protocolsOf(rule);
  if (![...left].every((number) => withPorts.has(number))) {
    log.error(at, `"${action}" to a port needs a protocol that has ports`, 'add "tcp:", "udp:", "port:" or "proto:"');
  }
  if (action !== 'dnat' && action !== 'redirect') return;
  const wanted = count(port);
  if (wanted === 1) return;
  const from = rule.matches.find(({ word }) => word === 'tcp' || word === 'udp' || word === 'port');
  const matched = from !== undefined && 'ports' in from && from.ports !== 'any' ? from.ports : undefined;
  const [only, ...more] = matched?.any ?? [];
  if (only === undefined || more.length > 0 || (matched?.not.length ?? 0) > 0 || count(only) !== wanted) {
    log.error(
      at,
      `"${action}" to ${wanted} ports needs one range of ${wanted} ports in the rule`,
      'or one target port',
    );
  }
}

function count({ first, last }: NumberRange): number {
  return last - first + 1;
}

function size({ first, last }: AddressRange): bigint {
  return last - first;
}
