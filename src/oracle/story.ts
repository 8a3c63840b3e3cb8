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

/** Chains that the compiler made are told as what came of the rule that they are for. */
function wayText(path: readonly AnswerChain[]): string {
  return path.flatMap((chain, index) => (chain.generated ? [] : chainLines(chain, madeFor(path, index)))).join('\n');
}

/** The chains behind a chain that were made for rules of it. */
function madeFor(path: readonly AnswerChain[], index: number): readonly AnswerChain[] {
  const next = path.findIndex(({ generated }, at) => at > index && !generated);
  return path.slice(index + 1, next < 0 ? undefined : next);
}

function chainLines({ hook, chain, rules, end }: AnswerChain, made: readonly AnswerChain[]): string[] {
  const lines = rules.map((rule) => ruleColumns(withOutcome(rule, made)));
  if (end !== undefined) lines.push(['end', end === 'return' ? 'return' : `policy ${end}`, '']);
  if (lines.length === 0) return [];
  const title = chain === hook || chain.endsWith(`_${hook}`) ? hook : `${hook} ${chain}`;
  return lines.map(([at, what, why], index) =>
    `  ${(index === 0 ? title : '').padEnd(12)} ${at.padEnd(5)} ${what.padEnd(44)} ${why}`.trimEnd(),
  );
}

const passing: ReadonlySet<string> = new Set(['jump', 'goto', 'continue', 'return']);

/** A rule that goes into a chain that was made for it: what ended there, or that nothing did. */
function withOutcome(rule: AnswerRule, made: readonly AnswerChain[]): AnswerRule {
  if (!rule.took || (rule.verdict !== 'jump' && rule.verdict !== 'goto')) return rule;
  const inside = made.flatMap(({ rules }) => rules.filter((one) => isSamePlace(one, rule)));
  if (inside.length === 0) return rule;
  const last = inside.findLast(({ took, verdict }) => took && verdict !== undefined && !passing.has(verdict));
  return { ...rule, verdict: last?.verdict ?? 'continue' };
}

/** Actions of a rule have columns of their own. */
const isSamePlace = ({ place: a }: AnswerRule, { place: b }: AnswerRule): boolean =>
  a !== undefined && b !== undefined && a.line === b.line && a.file === b.file;

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
