/** `macros:` and `$name`: values are replaced as text before anything is typed; lists flatten into lists. */

import type { DiagnosticLog } from './diagnostics.js';
import { kindName, type Mapping, type Node, type Text } from './node.js';
import { didYouMean } from './suggest.js';

/** What a macro stands for; a single value also has one text. */
interface Macro {
  readonly list: boolean;
  readonly texts: readonly Text[];
}

/** Characters of all that comes out of macros (and one for each value), and of one value. */
const mostInAll = 4 * 1024 * 1024;
const mostInOne = 65_536;

const reference = /\$([A-Za-z_][A-Za-z0-9_]*)?/g;
const alone = /^(not\s+)?\$([A-Za-z_][A-Za-z0-9_]*)$/;

/** The values of a policy's macros, and the replacing of their names. */
export class Macros {
  readonly #macros = new Map<string, Macro>();
  /** Names of macros that were defined wrongly, so that their uses don't complain again. */
  readonly #broken = new Set<string>();
  readonly #log: DiagnosticLog;
  #left = mostInAll;

  constructor(log: DiagnosticLog) {
    this.#log = log;
  }

  /** Reads the section; a macro may use those before it. */
  define(section: Node): void {
    if (section.kind === 'nothing') return;
    if (section.kind !== 'map') {
      this.#log.error(section.at, `"macros" is a map of names and values, not ${kindName(section)}`);
      return;
    }
    for (const { key, value } of section.entries) {
      const macro = macroName(key.value) ? this.#read(value) : this.#refuseName(key);
      if (macro === undefined) this.#broken.add(key.value);
      else this.#macros.set(key.value, macro);
    }
  }

  /** The tree with every `$name` replaced. */
  expand(node: Node): Node {
    switch (node.kind) {
      case 'text': {
        const texts = this.#expandText(node);
        if (texts === undefined) return { kind: 'nothing', at: node.at, reported: true };
        return texts.list ? { kind: 'list', at: node.at, items: texts.texts } : texts.texts[0]!;
      }
      case 'list':
        return { ...node, items: node.items.flatMap((item) => this.#expandItem(item)) };
      case 'map':
        return this.#expandMap(node);
      case 'nothing':
        return node;
    }
  }

  #expandMap(map: Mapping): Mapping {
    return { ...map, entries: map.entries.map(({ key, value }) => ({ key, value: this.expand(value) })), written: map };
  }

  #expandItem(item: Node): readonly Node[] {
    if (item.kind !== 'text') return [this.expand(item)];
    return this.#expandText(item)?.texts ?? [{ kind: 'nothing', at: item.at, reported: true }];
  }

  #read(value: Node): Macro | undefined {
    if (value.kind === 'text') return this.#expandText(value);
    if (value.kind === 'nothing') return this.#fail(value, 'a macro needs a value');
    if (value.kind === 'map') return this.#fail(value, 'a macro is a value or a list of values, not a map');
    const texts: Text[] = [];
    for (const item of value.items) {
      const macro = item.kind === 'text' || item.kind === 'list' ? this.#read(item) : this.#fail(item, notAValue(item));
      if (macro === undefined) return undefined;
      texts.push(...macro.texts);
    }
    return { list: true, texts };
  }

  /** What a text becomes; undefined when it uses a macro that isn't there, which is reported. */
  #expandText(text: Text): Macro | undefined {
    if (!text.value.includes('$')) return { list: false, texts: [text] };
    const [, not, name] = alone.exec(text.value) ?? [];
    const macro = name === undefined ? this.#replaceInside(text) : this.#lookUp(text, name);
    if (macro === undefined || !this.#spend(text, macro)) return undefined;
    if (name === undefined) return macro;
    const negate = (value: string) => (not === undefined ? value : `not ${value}`);
    if (not !== undefined && macro.texts.some((part) => part.negated() !== undefined)) {
      return this.#fail(text, `"${text.value}" negates what "$${name}" already negates`);
    }
    return { list: macro.list, texts: macro.texts.map((part) => text.replaced(negate(part.value), `$${name}`)) };
  }

  #replaceInside(text: Text): Macro | undefined {
    let failed = false;
    const used: string[] = [];
    const value = text.value.replace(reference, (written, name: string | undefined) => {
      const macro = name === undefined ? this.#fail(text, noName(text.value)) : this.#lookUp(text, name);
      if (macro?.list) {
        this.#fail(text, `"${written}" is a list, which can't stand inside "${text.value}"`, 'use it alone');
      }
      failed ||= macro === undefined || macro.list;
      used.push(written);
      return macro?.texts[0]?.value ?? '';
    });
    if (failed) return undefined;
    if (value.length > mostInOne) return this.#fail(text, 'macros make this value too long');
    return { list: false, texts: [text.replaced(value, used.join(', '))] };
  }

  #lookUp(text: Text, name: string): Macro | undefined {
    const macro = this.#macros.get(name);
    if (macro !== undefined || this.#broken.has(name)) return macro;
    const hint = didYouMean(name, this.#macros.keys(), (near) => `$${near}`) ?? 'define it above, in `macros:`';
    return this.#fail(text, `there is no macro "$${name}"`, hint);
  }

  /** Takes what a use of a macro costs from the bound; false when it is used up. */
  #spend(text: Text, macro: Macro): boolean {
    this.#left -= macro.texts.reduce((cost, { value }) => cost + value.length + 1, 0);
    if (this.#left >= 0) return true;
    this.#fail(text, 'macros make more text than a policy may have', 'use a table with a file');
    return false;
  }

  #refuseName(key: Text): undefined {
    return this.#fail(key, `"${key.value}" can't name a macro`, 'take letters, digits and "_", and no digit first');
  }

  #fail(node: Node, message: string, hint?: string): undefined {
    this.#log.error(node.at, message, hint);
  }
}

function macroName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(text);
}

function notAValue(node: Node): string {
  return `a list in \`macros:\` holds single values, not ${kindName(node)}`;
}

function noName(text: string): string {
  return `"$" in "${text}" is followed by no name of a macro`;
}
