/** Rules of iptables as the golden files have them, read by the syntax that the extensions describe. */

import assert from 'node:assert/strict';
import type { IptablesOption, IptablesReading } from '../../src/extensions/iptables.js';
import { extensions } from '../../src/extensions/registry.js';

/** What `-m MODULE …` of a rule becomes in the policy. The rule has no other match than that, and `-p`. */
export function readOriginal(rule: string, module: string): IptablesReading {
  const syntax = extensions
    .flatMap(({ iptables = [] }) => iptables)
    .find((known) => known.kind === 'match' && known.module === module);
  assert.ok(syntax, `no extension reads -m ${module}`);
  const [, text = ''] = rule.split(` -m ${module}`);
  const options = new Map<string, IptablesOption>();
  const words = text.split(' ').filter((word) => word !== '');
  let negated = false;
  while (words.length > 0) {
    const word = words.shift()!;
    if (word === '!') {
      negated = true;
      continue;
    }
    const name = word.replace(/^--/, '');
    const values = syntax.options[name];
    assert.notEqual(values, undefined, `${module} has no option ${word}`);
    options.set(name, { negated, ...(values === 1 && { value: words.shift() ?? '' }) });
    negated = false;
  }
  return syntax.read(options);
}

/** The keys of a rule in YAML, which takes JSON: `"length": "layer5 10"`. */
export const yamlKeys = (match: IptablesReading['match'] = {}): string =>
  Object.entries(match)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join(', ');
