/** All extensions, and the words that they add to the policy. */

import type { Vocabulary } from '../policy/vocabulary.js';
import { account } from './account.js';
import { chaos } from './chaos.js';
import { checksum } from './checksum.js';
import { condition } from './condition.js';
import { delude } from './delude.js';
import { dhcpmac } from './dhcpmac.js';
import { echo } from './echo.js';
import type { ActionCompiler, Extension, MatchCompiler, SectionCompiler } from './extension.js';
import { fuzzy } from './fuzzy.js';
import { geoip } from './geoip.js';
import { gradm } from './gradm.js';
import { iface } from './iface.js';
import { ipmark } from './ipmark.js';
import { ipp2p } from './ipp2p.js';
import { ipv4options } from './ipv4options.js';
import { length } from './length.js';
import { logmark } from './logmark.js';
import { lscan } from './lscan.js';
import { pknock } from './pknock.js';
import { psd } from './psd.js';
import { quota2 } from './quota2.js';
import { rawdnat, rawsnat } from './raw-nat.js';
import { steal } from './steal.js';
import { sysrq } from './sysrq.js';
import { tarpit } from './tarpit.js';
import { tee } from './tee.js';

export const extensions: readonly Extension[] = [
  account,
  chaos,
  checksum,
  condition,
  delude,
  dhcpmac,
  echo,
  geoip,
  gradm,
  iface,
  fuzzy,
  ipmark,
  ipp2p,
  ipv4options,
  length,
  logmark,
  lscan,
  pknock,
  psd,
  quota2,
  rawdnat,
  rawsnat,
  steal,
  sysrq,
  tarpit,
  tee,
];

/** The words of the extensions, for `parsePolicy`. */
export function vocabularyOf(from: readonly Extension[]): Vocabulary {
  return {
    matches: from.flatMap(({ matches = [] }) => matches.map(({ word }) => word)),
    actions: from.flatMap(({ actions = [] }) => actions.map(({ word }) => word)),
    sections: from.flatMap(({ sections = [] }) => sections.map(({ word }) => word)),
  };
}

export const vocabulary: Vocabulary = vocabularyOf(extensions);

/** Finds the compiler of a word. */
export interface Words {
  match(name: string): MatchCompiler;
  action(name: string): ActionCompiler;
  section(name: string): SectionCompiler | undefined;
}

/** @throws Error for a word that no extension has: the policy was read with another vocabulary. */
export function wordsOf(from: readonly Extension[]): Words {
  const matches = index(from.flatMap(({ matches = [] }) => matches));
  const actions = index(from.flatMap(({ actions = [] }) => actions));
  const sections = index(from.flatMap(({ sections = [] }) => sections));
  return {
    match: (name) => found(matches, name),
    action: (name) => found(actions, name),
    section: (name) => sections.get(name),
  };
}

function index<C extends { readonly word: { readonly name: string } }>(compilers: readonly C[]): Map<string, C> {
  return new Map(compilers.map((compiler) => [compiler.word.name, compiler]));
}

function found<C>(compilers: ReadonlyMap<string, C>, name: string): C {
  const compiler = compilers.get(name);
  if (compiler === undefined) throw new Error(`no extension has the word ${name}`);
  return compiler;
}
