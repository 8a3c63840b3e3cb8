/** Rules: flat maps of matches, then what to do. */

import type { Action, Match, Rule } from './ast.js';
import { newName } from './formats/names.js';
import { keywordsOf } from './keywords.js';
import { type Entry, type Mapping, type Node, oneLine, type Text } from './node.js';
import type { Reader } from './reader.js';
import { alternatives } from './scalars.js';
import { Misread } from './scope.js';
import { didYouMean } from './suggest.js';
import { usage } from './usage.js';
import { type KnownAction, type Lexicon, ruleKeys } from './words/lexicon.js';
import { logSchema, logSpec } from './words/log.js';

const ruleName = newName('rule');

/** Reads the rules of a chain, or of `nat:`, and checks that names are used once. */
export class RuleReader {
  readonly #names = new Map<string, Rule>();

  /** Those with an error: what is left of them can't be judged further. */
  readonly broken = new Set<Rule>();

  constructor(
    private readonly reader: Reader,
    private readonly lexicon: Lexicon,
  ) {}

  /** @param where what holds the rules: `rules` of a chain, or `nat` */
  readAll(node: Node, where: 'rules' | 'nat'): Rule[] {
    if (node.kind !== 'list') {
      this.reader.wrongKind(node, where, 'a list of rules');
      return [];
    }
    const words = [...this.lexicon.matchWords(where === 'nat'), ...ruleKeys];
    return node.items.flatMap((item) => this.#read(item, words) ?? []);
  }

  #read(node: Node, words: readonly string[]): Rule | undefined {
    if (node.kind !== 'map') return this.reader.wrongKind(node, 'a rule', 'a map such as { tcp: 22, do: accept }');
    const errorsBefore = this.reader.log.errors;
    this.reader.refuseUnknown(node.entries, words);
    this.#checkCompany(node);
    const matches = node.entries.flatMap((entry) => this.#match(entry) ?? []);
    const log = this.#log(node);
    const actions = this.#actions(node);
    const name = this.#name(node);
    const rule: Rule = {
      at: { ...node.at, length: 1 },
      text: oneLine(node.written ?? node),
      ...(name === undefined ? {} : { name: name.value }),
      matches,
      actions: [...log, ...actions],
    };
    if (name !== undefined) this.#claim(name, rule);
    if (this.reader.log.errors > errorsBefore) this.broken.add(rule);
    return rule;
  }

  /** Words that must, or can't, stand in one rule. */
  #checkCompany(rule: Mapping): void {
    const earlier: Text[] = [];
    for (const { key } of rule.entries) {
      const { excludes = [], needs = [] } = this.lexicon.matches.get(key.value) ?? {};
      const other = earlier.find(({ value }) => excludes.includes(value) || this.#excludes(value).includes(key.value));
      if (other !== undefined) {
        const message = `"${key.value}" can't stand with "${other.value}" in one rule`;
        this.reader.log.error(key.at, message, 'keep one of them, or write a rule for each');
      }
      if (needs.length > 0 && !rule.entries.some((entry) => needs.includes(entry.key.value))) {
        this.reader.log.error(key.at, `"${key.value}" can't stand alone`, `add ${alternatives(needs)}`);
      }
      earlier.push(key);
    }
  }

  #excludes(word: string): readonly string[] {
    return this.lexicon.matches.get(word)?.excludes ?? [];
  }

  #match({ key, value }: Entry): Match | undefined {
    const word = this.lexicon.matches.get(key.value);
    if (word === undefined) return undefined;
    const excluded = word.negatable ? negated(value) : undefined;
    const read = this.reader.read(word.schema, excluded ?? value, key.value);
    return read === undefined ? undefined : word.build(read, { at: key.at, negated: excluded !== undefined });
  }

  #log(rule: Mapping): Action[] {
    const entry = entryOf(rule, 'log');
    const value = entry === undefined ? undefined : this.reader.read(logSchema, entry.value, 'log');
    return entry === undefined || value === undefined ? [] : [{ at: entry.key.at, action: 'log', log: logSpec(value) }];
  }

  #name(rule: Mapping): Text | undefined {
    const value = entryOf(rule, 'name')?.value;
    if (value === undefined) return undefined;
    if (value.kind !== 'text') return this.reader.wrongKind(value, 'name', 'a single value');
    return this.reader.readName(ruleName, value) === undefined ? undefined : value;
  }

  #claim(name: Text, rule: Rule): void {
    const earlier = this.#names.get(name.value);
    if (earlier === undefined) {
      this.#names.set(name.value, rule);
      return;
    }
    const message = `a rule "${name.value}" is already in line ${earlier.at.line}`;
    this.reader.log.error(name.at, message, 'choose another name');
  }

  #actions(rule: Mapping): Action[] {
    const value = entryOf(rule, 'do')?.value;
    if (value === undefined) {
      this.reader.log.error({ ...rule.at, length: 1 }, 'this rule does nothing', 'add "do:", such as "do: accept"');
      return [];
    }
    const steps = value.kind === 'list' ? value.items : [value];
    if (steps.length === 0) {
      this.reader.log.error(value.at, '"do" is an empty list', 'write what to do with the packet');
    }
    return steps.flatMap((step) => this.#action(step) ?? []);
  }

  #action(step: Node): Action | undefined {
    if (step.kind === 'text') return this.#sentence(step);
    if (step.kind !== 'map') return this.reader.wrongKind(step, 'do', 'an action or a list of actions');
    const [entry, second] = step.entries;
    if (entry === undefined || second !== undefined) {
      const hint = 'write { name: { … } }, each action by itself';
      this.reader.log.error(second?.key.at ?? step.at, 'an action with options is a map of one key', hint);
      return undefined;
    }
    return this.#withOptions(entry);
  }

  #sentence(text: Text): Action | undefined {
    const [first] = text.words();
    const action = first === undefined ? undefined : this.lexicon.actions.get(first.value);
    if (first === undefined || action === undefined) return this.#unknown(first ?? text);
    const { sentence, schema } = action;
    if (sentence === undefined) return this.#bare(action, text);
    const spec = this.reader.readPhrase(sentence, keywordsOf(schema).properties ?? {}, text);
    return spec === undefined ? undefined : action.build(spec, text.at);
  }

  #bare(action: KnownAction, text: Text): Action | undefined {
    const { name } = action;
    if (text.value !== name || !action.bare) {
      this.reader.report(text, new Misread(`"${name}" is not written so`, `give its options as { ${name}: { … } }`));
      return undefined;
    }
    const empty: Node = { kind: 'map', at: text.at, entries: [] };
    const spec = this.reader.read(action.schema, empty, name);
    return spec === undefined ? undefined : action.build(spec, text.at);
  }

  #withOptions({ key, value }: Entry): Action | undefined {
    if (key.value === 'log') {
      const log = this.reader.read(logSchema, value, 'log');
      return log === undefined ? undefined : { at: key.at, action: 'log', log: logSpec(log) };
    }
    const action = this.lexicon.actions.get(key.value);
    if (action === undefined) return this.#unknown(key);
    if (action.sentence !== undefined) {
      const hint = `write it as "${usage(action.sentence, keywordsOf(action.schema).properties ?? {})}"`;
      this.reader.log.error(key.at, `"${key.value}" takes no map`, hint);
      return undefined;
    }
    const spec = this.reader.read(action.schema, value, key.value);
    return spec === undefined ? undefined : action.build(spec, key.at);
  }

  #unknown(word: Text): undefined {
    const { matches, actions } = this.lexicon;
    const hint = matches.has(word.value) ? 'it is a key of the rule' : didYouMean(word.value, actions.keys());
    this.reader.report(word, new Misread(`"${word.value}" is no action`, hint));
  }
}

/** `not X`, and `{ not: … }` of a word that takes a map or a list. */
function negated(value: Node): Node | undefined {
  if (value.kind === 'text') return value.negated();
  if (value.kind !== 'map' || value.entries.length !== 1) return undefined;
  const [only] = value.entries;
  return only?.key.value === 'not' ? only.value : undefined;
}

function entryOf(map: Mapping, name: string): Entry | undefined {
  return map.entries.find(({ key }) => key.value === name);
}
