/** Sections to a policy: names first, then what refers to them, then the checks over the whole. */

import type { AccountDecl, Hygiene, InterfaceTerm, Policy, Rule, SectionEntry } from './ast.js';
import { reachOf } from './checks/jumps.js';
import { checkRule, type Standing } from './checks/rule.js';
import { checkNegatedTables } from './checks/tables.js';
import type { DiagnosticLog } from './diagnostics.js';
import { device } from './formats/interfaces.js';
import { isBaseChain, newName } from './formats/names.js';
import type { Entry, Mapping } from './node.js';
import { Reader } from './reader.js';
import { RuleReader } from './rules.js';
import type { Scope } from './scope.js';
import { readChains } from './sections/chains.js';
import { coreSectionNames, coreSections, usualSize } from './sections/schemas.js';
import { readApi, readPftabled } from './sections/services.js';
import { type ReadList, readTables } from './sections/tables.js';
import { NamedMap, Value } from './types.js';
import type { SectionWord, Vocabulary } from './vocabulary.js';
import { Lexicon } from './words/lexicon.js';

/** What a policy needs from outside its text. */
export interface Edges {
  readonly file: string;
  readonly readList?: ReadList;
  readonly resolveOwner?: (kind: 'user' | 'group', name: string) => number | undefined;
}

const usualHygiene: Hygiene = { loopback: true, neighbor: true, invalid: false, badFlags: false };
const noHygiene: Hygiene = { loopback: false, neighbor: false, invalid: false, badFlags: false };

export class PolicyBuilder {
  readonly #lexicon: Lexicon;
  readonly #reader: Reader;
  readonly #rules: RuleReader;

  /** @param sections the keys at the top, macros replaced */
  constructor(
    private readonly sections: ReadonlyMap<string, Entry>,
    vocabulary: Vocabulary,
    private readonly edges: Edges,
    private readonly log: DiagnosticLog,
  ) {
    this.#lexicon = new Lexicon(vocabulary, coreSectionNames);
    const withoutInterfaces = this.#scope(new Map());
    const interfaces = this.#interfaces(new Reader(log, withoutInterfaces));
    this.#reader = new Reader(log, { ...withoutInterfaces, interfaces });
    this.#rules = new RuleReader(this.#reader, this.#lexicon);
  }

  /** The policy; incomplete when the log has errors. */
  build(): Policy {
    this.#reader.refuseUnknown([...this.sections.values()], [...coreSectionNames, ...this.#lexicon.sections.keys()]);
    const version = this.sections.get('version');
    if (version !== undefined) this.#reader.read(coreSections.version.schema, version.value, 'version');
    const nat = this.sections.get('nat');
    const policy: Policy = {
      file: this.edges.file,
      version: 1,
      interfaces: this.#reader.scope.interfaces,
      tables: readTables(this.#map('tables'), this.#reader, this.edges.readList),
      accounts: this.#accounts(),
      chains: readChains(this.#map('chains'), this.#reader, this.#rules),
      nat: nat === undefined ? [] : this.#rules.readAll(nat.value, 'nat'),
      hygiene: this.#hygiene(),
      blockPolicy: this.#blockPolicy(),
      mustSurvive: this.#mustSurvive(),
      ...this.#services(),
      sections: this.#extensionSections(),
    };
    this.#check(policy);
    return policy;
  }

  #scope(interfaces: ReadonlyMap<string, InterfaceTerm>): Scope {
    return {
      interfaces,
      interfacesListed: this.sections.has('interfaces'),
      names: this.#declaredNames(),
      resolveOwner: this.edges.resolveOwner,
      warn: (at, message, hint) => this.log.warn(at, message, hint),
    };
  }

  /** The keys of all sections that declare names; what stands behind them is read later. */
  #declaredNames(): ReadonlyMap<string, ReadonlySet<string>> {
    const named = [...this.#lexicon.sections.values()].filter(({ form }) => form === 'named').map(({ name }) => name);
    const keys = (section: string) => {
      const value = this.sections.get(section)?.value;
      return value?.kind === 'map' ? value.entries.map(({ key }) => key.value) : [];
    };
    const declared = ['tables', 'accounts', ...named].map((section) => [section, new Set(keys(section))] as const);
    return new Map([...declared, ['chains', new Set(keys('chains').filter((name) => !isBaseChain(name)))]]);
  }

  /** A section that is a map; an empty one when it is missing, or wrong, which is then reported. */
  #map(name: string, reader = this.#reader): Mapping {
    const entry = this.sections.get(name);
    if (entry?.value.kind === 'map') return entry.value;
    if (entry !== undefined) reader.wrongKind(entry.value, name, 'a map from names');
    return { kind: 'map', at: entry?.value.at ?? { file: this.edges.file, line: 1, column: 1 }, entries: [] };
  }

  /** A name whose device is wrong is still known, so that its uses don't complain, too. */
  #interfaces(reader: Reader): ReadonlyMap<string, InterfaceTerm> {
    const interfaces = new Map<string, InterfaceTerm>();
    for (const { key, value } of this.#map('interfaces', reader).entries) {
      const alias = reader.readName(newName('interface'), key) ?? key.value;
      if (alias === 'any') this.log.error(key.at, '"any" is every interface already', 'choose another name');
      interfaces.set(alias, { at: key.at, alias, device: reader.read(Value(device), value, alias) ?? alias });
    }
    return interfaces;
  }

  #accounts(): ReadonlyMap<string, AccountDecl> {
    const read = this.#reader.read(coreSections.accounts.schema, this.#map('accounts'), 'accounts') ?? new Map();
    const accounts = new Map<string, AccountDecl>();
    for (const [name, { at, value }] of read) {
      const options = Array.isArray(value) ? { networks: value, size: usualSize, keep: false } : value;
      accounts.set(name, { at, name, ...options });
    }
    return accounts;
  }

  #hygiene(): Hygiene {
    const entry = this.sections.get('hygiene');
    const read = entry && this.#reader.read(coreSections.hygiene.schema, entry.value, 'hygiene');
    if (read === undefined || read === 'default') return usualHygiene;
    if (read === 'off') return noHygiene;
    const { bad_flags: badFlags = usualHygiene.badFlags, ...others } = read;
    return { ...usualHygiene, ...others, badFlags };
  }

  #blockPolicy(): Policy['blockPolicy'] {
    const entry = this.sections.get('block_policy');
    return (entry && this.#reader.read(coreSections.block_policy.schema, entry.value, 'block_policy')) ?? 'drop';
  }

  #mustSurvive(): Policy['mustSurvive'] {
    const read = this.#reader.read(coreSections.must_survive.schema, this.#map('must_survive'), 'must_survive');
    return [...(read ?? [])].map(([name, { at, value }]) => ({ name, at, packet: value }));
  }

  #services(): Pick<Policy, 'pftabled' | 'api'> {
    const [pftabledEntry, apiEntry] = [this.sections.get('pftabled'), this.sections.get('api')];
    const pftabled = pftabledEntry && readPftabled(pftabledEntry, this.#reader);
    const api = apiEntry && readApi(apiEntry, this.#reader);
    return { ...(pftabled && { pftabled }), ...(api && { api }) };
  }

  #extensionSections(): Policy['sections'] {
    const sections = new Map<string, ReadonlyMap<string, SectionEntry>>();
    for (const word of this.#lexicon.sections.values()) {
      const entry = this.sections.get(word.name);
      if (entry !== undefined) sections.set(word.name, this.#extensionSection(word, entry));
    }
    return sections;
  }

  #extensionSection({ name, form, schema }: SectionWord, { key, value }: Entry): ReadonlyMap<string, SectionEntry> {
    if (form === 'single') {
      const spec = this.#reader.read(schema, value, name);
      return new Map(spec === undefined ? [] : [[name, { at: key.at, name, spec }]]);
    }
    const read = this.#reader.read(NamedMap(newName('entry'), schema), value, name) ?? new Map();
    return new Map([...read].map(([entry, { at, value: spec }]) => [entry, { at, name: entry, spec }]));
  }

  #check({ chains, nat, tables, blockPolicy }: Policy): void {
    const reach = reachOf(chains, this.#lexicon, this.log);
    const blockAnswers = blockPolicy === 'return';
    const check = (rules: readonly Rule[], standing: Omit<Standing, 'blockAnswers'>) => {
      for (const rule of rules) {
        if (this.#rules.broken.has(rule)) continue;
        checkRule(rule, { ...standing, blockAnswers }, this.#lexicon, this.log);
        checkNegatedTables(rule, tables, this.log);
      }
    };
    for (const [chain, { at, kind, policy, rules }] of chains) {
      if (kind === 'postrouting' && policy === 'block' && blockAnswers) {
        this.log.error(at, '"policy: block" answers, which "postrouting" can\'t', 'write "policy: drop"');
      }
      check(rules, { chain, places: reach.get(chain) ?? [], jumpedTo: kind === 'user' });
    }
    check(nat, { chain: 'nat', places: ['nat'], jumpedTo: false });
  }
}
