import assert from 'node:assert/strict';
import { KnockModel } from '../../src/extensions/models/pknock.js';
import { parseAddress } from '../../src/net/address.js';
import { pknockProcLine } from '../../src/wire/pknock-proc.js';
import { diagnosticsOf } from '../compiler/compiled.js';
import { has, type KnockVector, type RuleVector, ruleOf, type Step } from './pknock-vectors.js';
import { testVectors } from './vectors.js';

const differences = {
  'too late':
    'the original takes the last knock however late it comes, and a stale half sequence spoils the next attempt',
  'record of nothing':
    'the original keeps records of failed datagrams, and half sequences that are too late until its collector runs',
  'other ports':
    'a signed datagram is taken at its own port; the original takes one that closes at any port, as it matches any',
  'same minute':
    'the original compares the minute of the uptime with that of the wall clock, so that an open can be replayed',
  'several sequences': 'a name has one sequence here; in the original rules of one name mix',
  'rules that are not ours': 'a name without knocks, or options that have no words here',
} as const;
type Difference = keyof typeof differences;

/** The rule in our words, as far as there are any. */
function inOurWords(rule: RuleVector): string {
  const words = [
    has(rule, 'o') || has(rule, 'z') ? `spa: ${rule.knockports[0] ?? 0}` : `ports: [${rule.knockports.join()}]`,
    ...(has(rule, 't') ? [`time: ${rule.time}s`] : []),
    ...(has(rule, 'x') ? ['strict: true'] : []),
    ...(has(rule, 'o') ? [`open_secret: { file: /${rule.opensecret} }`] : []),
    ...(has(rule, 'z') ? [`close_secret: { file: /${rule.closesecret} }`] : []),
  ];
  return `knocks: { K: { ${words.join(', ')} } }\n`;
}

function refused(rule: RuleVector): boolean {
  try {
    return diagnosticsOf(inOurWords(rule)).length > 0;
  } catch {
    return true;
  }
}

/** Did a source stay away for longer than the time after a knock, before it was let in? */
function cameLate(vector: KnockVector, at: number): boolean {
  const times = vector.rules.filter((rule) => has(rule, 't')).map(({ time }) => time);
  const ports = new Set(vector.rules.flatMap(({ knockports }) => knockports));
  const knocks = vector.steps.slice(0, at + 1).filter(({ dport, match }) => match !== undefined && ports.has(dport));
  return knocks.some(({ t, src }, index) => {
    const before = knocks.slice(0, index).findLast((other) => other.src === src);
    return before !== undefined && t - before.t > Math.min(...times);
  });
}

testVectors<KnockVector, Difference>('pknock', differences, (vector) => {
  if (vector.rule_load.some((load) => load.return !== 0)) {
    const wrong = vector.rules.filter((_, index) => vector.rule_load[index]?.return !== 0);
    if (wrong.some((rule) => has(rule, 'c') || !has(rule, 'k'))) return ['rules that are not ours'];
    for (const rule of wrong) assert.ok(refused(rule), `taken: ${inOurWords(rule)}`);
    return [];
  }
  const knocks = vector.rules.filter((rule) => has(rule, 'k'));
  const names = new Set(knocks.map(({ name }) => name));
  if (names.size < knocks.length) return ['several sequences'];
  if (vector.rules.some(({ name }) => !names.has(name))) return ['rules that are not ours'];
  const models = new Map(knocks.map((rule) => [rule.name, new KnockModel(ruleOf(rule))]));
  const seen = new Set<Difference>();

  for (const [index, step] of vector.steps.entries()) {
    const nowMs = step.wall * 1000;
    if (step.proc_read !== undefined) {
      for (const [name, lines] of Object.entries(step.proc_read)) {
        const kept = lines.filter((line) => !/status=INIT|status=MATCHING .*expir_time=0 /.test(line));
        const ours = models.get(name)!.records(nowMs).map(pknockProcLine);
        if (kept.length < lines.length) seen.add('record of nothing');
        const comparable = ours.filter((line) => !/status=MATCHING .*expir_time=0 /.test(line));
        if (cameLate(vector, index) && JSON.stringify(comparable.sort()) !== JSON.stringify([...kept].sort()))
          return [...seen, 'too late'];
        assert.deepEqual(comparable.sort(), [...kept].sort(), `step ${index}`);
      }
      continue;
    }
    const rule = vector.rules[step.rule ?? 0]!;
    const model = models.get(rule.name)!;
    const packet = {
      source: parseAddress(step.src),
      protocol: step.proto,
      port: step.dport,
      ...(step.payload_hex !== undefined && { payload: Buffer.from(step.payload_hex, 'hex') }),
    };
    // The rule judges by what was known before the packet; one that closes is not let through.
    const before = model.holds(packet, nowMs);
    const effect = has(rule, 'c') ? 'none' : model.packet(packet, nowMs);
    const holds = before && effect !== 'closed';
    const theirs = step.match === 1;
    const theyOpened = step.netlink_cn_msg_hex !== undefined;
    if (holds === theirs && (effect === 'opened') === theyOpened) continue;
    if (cameLate(vector, index)) return [...seen, 'too late'];
    if (has(rule, 'o') && step.dport !== rule.knockports[0]) return [...seen, 'other ports'];
    const opened = vector.steps.slice(0, index).some((other) => {
      const isOpen = other.netlink_cn_msg_hex !== undefined && other.src === step.src;
      return isOpen && Math.floor(other.wall / 60) === Math.floor(step.wall / 60);
    });
    const uptimes = (one: Step) => Math.floor(one.uptime / 60);
    const sameUptime = vector.steps
      .slice(0, index)
      .some((other) => other.netlink_cn_msg_hex !== undefined && uptimes(other) === uptimes(step));
    if (has(rule, 'o') && opened !== sameUptime) return [...seen, 'same minute'];
    assert.deepEqual({ holds, opened: effect === 'opened' }, { holds: theirs, opened: theyOpened }, `step ${index}`);
  }
  return [...seen];
});
