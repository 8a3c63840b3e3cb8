/** What the extensions say of themselves, as pages, as a table, and for the terminal: one source for all of it. */

import type { Extension } from './extension.js';
import { extensionOf, type Original, originals } from './originals.js';
import type { Parity } from './parity.js';
import { extensions } from './registry.js';

/** One line of `postern parity`. */
export interface ParityRow {
  readonly name: string;
  readonly kind: Original['kind'] | 'pf';
  readonly standing: Parity['standing'];
  readonly runs?: Parity['runs'];
  /** Differences, or the reason why it isn't there. */
  readonly notes: readonly string[];
  readonly checked?: string;
}

/** All originals, then what comes from elsewhere. */
export function parityRows(from: readonly Extension[] = extensions): ParityRow[] {
  const known = originals.map((original) => rowOf(original, extensionOf(original, from)));
  const others = from.filter((one) => !originals.some((original) => extensionOf(original, from) === one));
  return [...known, ...others.map((extension) => extensionRow(extension.name, 'pf', extension))];
}

function rowOf({ name, kind, why }: Original, extension: Extension | undefined): ParityRow {
  if (extension !== undefined) return extensionRow(name, kind, extension);
  return { name, kind, standing: 'unavailable', notes: [why ?? 'not in this version'] };
}

const extensionRow = (name: string, kind: ParityRow['kind'], { parity }: Extension): ParityRow => ({
  name,
  kind,
  standing: parity.standing,
  runs: parity.runs,
  notes: notesOf(parity),
  checked: parity.checked,
});

function notesOf(parity: Parity): readonly string[] {
  switch (parity.standing) {
    case 'exact':
      return [];
    case 'differs':
      return parity.how;
    case 'unavailable':
      return [parity.why];
  }
}

/** For the terminal. */
export function parityText(rows: readonly ParityRow[]): string {
  return rows
    .map(({ name, standing, runs, notes, checked }) =>
      [
        `${name.padEnd(12)} ${standing.padEnd(12)} ${runs ?? ''}`.trimEnd(),
        ...notes.map((note) => `  - ${note}`),
        ...(checked === undefined ? [] : [`  checked: ${checked}`]),
      ].join('\n'),
    )
    .join('\n\n')
    .concat('\n');
}

/** The README's table. */
export function parityTable(rows: readonly ParityRow[]): string {
  const lines = rows.map(({ name, kind, standing, runs, notes }) => {
    const page = standing === 'unavailable' ? name : `[${name}](kmod-notes/${pageName(name)})`;
    const first = notes[0] === undefined ? '' : notes.length > 1 ? `${notes[0]}; more on its page` : notes[0];
    return `| ${page} | ${kind} | ${standing} | ${runs ?? ''} | ${first} |`;
  });
  return ['| Extension | | Compared | Runs in | Differences |', '|---|---|---|---|---|', ...lines, ''].join('\n');
}

/** `tarpit.md`. */
export const pageName = (name: string): string => `${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.md`;

/** Where the part of a page begins that people write. */
export const handMark = '<!-- Above: generated from the extension. Below: written by hand. -->';

/** The part of an extension's page that follows from what it says of itself. */
export function pageHead({
  name,
  summary,
  parity,
  matches = [],
  actions = [],
  sections = [],
  iptables = [],
}: Extension): string {
  const words = [
    ...matches.map(({ word }) => `- \`${word.name}:\` in a rule: ${word.description}`),
    ...actions.map(({ word }) => `- \`do: ${word.phrase ?? word.name}\`: ${word.description}`),
    ...sections.map(({ word }) => `- \`${word.name}:\` at the top: ${word.description}`),
  ];
  const syntax = iptables.map(({ kind, module, options, negatable = [] }) => {
    const list = Object.entries(options).map(
      ([option, values]) => `[${negatable.includes(option) ? '[!] ' : ''}--${option}${values === 1 ? ' VALUE' : ''}]`,
    );
    return `- \`-${kind === 'match' ? 'm' : 'j'} ${[module, ...list].join(' ')}\``;
  });
  return [
    `# ${name}`,
    '',
    summary,
    '',
    `Original: ${parity.original}. Compared with it: **${parity.standing}**. Runs in: ${parity.runs}.`,
    '',
    ...section('Words', words),
    ...section('Syntax of the original', syntax),
    ...section(
      parity.standing === 'unavailable' ? 'Why not' : 'What differs',
      notesOf(parity).map((note) => `- ${note}`),
    ),
    '## How it was checked',
    '',
    `${capital(parity.checked)}.`,
    '',
    handMark,
    '',
  ].join('\n');
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`## ${title}`, '', ...lines, ''];

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
