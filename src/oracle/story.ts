/** An answer told to people. */

import type { Answer, AnswerChain, AnswerRule } from './answer.js';
import { placeText } from './policy-index.js';

/** Some lines: the decision, the way there, what came near, what came out, and what was not tested. */
export function storyText(answer: Answer): string {
  const blocks = [
    headline(answer),
    wayText(answer.path),
    nearText(answer),
    list(
      'Out',
      answer.out.map(({ device, kind, text }) => (kind === 'answer' ? `answer: ${text}` : `onward by ${device}`)),
    ),
    list('Effects', answer.effects),
    list('Daemon', answer.duties),
    list('Copied from the host', answer.copied),
    list('Not tested', answer.caveats),
  ];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

function headline({ packet, verdict, by, state, mark, in: device, incomplete }: Answer): string {
  const facts = [
    ...(state === 'none' ? [] : [`state ${state}`]),
    device === undefined ? 'our own' : `in ${device}`,
    ...(mark === 0 ? [] : [`mark 0x${mark.toString(16)}`]),
  ];
  const why = incomplete === undefined ? by.text : incomplete;
  return `${packet}\n\n${verdict.toUpperCase()}   ${why}   ${facts.join(', ')}`;
}

function wayText(path: readonly AnswerChain[]): string {
  return path.flatMap(chainLines).join('\n');
}

function chainLines({ hook, chain, rules, end }: AnswerChain): string[] {
  const lines = rules.map(ruleColumns);
  if (end !== undefined) lines.push(['end', end === 'return' ? 'return' : `policy ${end}`, '']);
  if (lines.length === 0) return [];
  const title = chain === hook || chain.endsWith(`_${hook}`) ? hook : `${hook} ${chain}`;
  return lines.map(([at, what, why], index) =>
    `  ${(index === 0 ? title : '').padEnd(12)} ${at.padEnd(5)} ${what.padEnd(44)} ${why}`.trimEnd(),
  );
}

function ruleColumns({ place, rule, took, verdict, held, failed, instead }: AnswerRule): [string, string, string] {
  const at = place === undefined ? '-' : `:${place.line}`;
  if (took) return [at, `${verdict === 'continue' ? 'goes on' : (verdict ?? 'yes')}   ${rule ?? ''}`.trimEnd(), ''];
  const why = held.length === 0 ? (instead ?? '') : `${held.join(', ')} held; ${instead ?? ''}`;
  return [at, `no   ${failed ?? rule ?? ''}`, why];
}

function nearText({ near, remedy, verdict }: Answer): string {
  const [nearest] = near;
  if (nearest?.place === undefined || (verdict !== 'drop' && verdict !== 'reject')) return '';
  const what = `Nearest rule: ${placeText(nearest.place)} ${nearest.rule ?? ''}\n  it would take the packet but for: ${nearest.failed} (${nearest.instead})`;
  return remedy === undefined ? what : `${what}\n  ${remedy}`;
}

function list(title: string, items: readonly string[]): string {
  if (items.length === 0) return '';
  return `${title}:\n${items.map((item) => `  ${item}`).join('\n')}`;
}
