/**
 * LOGMARK: a line in the log for each packet, with the marks of the packet and of its connection. The rule hands the
 * daemon a copy of the header; what only the rule knows (how the connection stood at that moment) is in the log prefix.
 */

import { type Static, Type } from 'typebox';
import { and, ct, jump, log, match, matchAny, returnVerdict } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { path } from '../policy/formats/values.js';
import { Misread } from '../policy/scope.js';
import { type Format, Value } from '../policy/types.js';
import { actionWord, type Extension, sectionWord } from './extension.js';
import { type ActionFragment, does, type Line } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import type { LogmarkDirection, LogmarkState } from './models/logmark.js';
import type { Site } from './site.js';

/** The kind of the duty, and the owner of its group. */
export const logmarkDuty = 'logmark';
/** An IP header, its options, and the ports behind it or behind those of an ICMP error. */
export const logmarkBytes = 160;

/** As the manual has it; the original took 14. */
const longestPrefix = 29;
const usualLevel = 4;

const prefix: Format<string> = {
  name: 'logmark-prefix',
  label: 'TEXT',
  description: `What the line begins with: at most ${longestPrefix} characters of ASCII, no quotes.`,
  json: { type: 'string', pattern: '^[ -~]+$', maxLength: longestPrefix },
  parse: ({ value }) => {
    if (value.length > longestPrefix) {
      throw new Misread(`"${value}" is too long for the beginning of a line`, `at most ${longestPrefix} characters`);
    }
    if (/^[ !#%-[\]-~]+$/.test(value)) return value;
    throw new Misread(`"${value}" can't begin a line of the log`, 'leave out quotes, "$", "\\" and what is not ASCII');
  },
};

const actionSchema = Type.Object({
  prefix: Type.Optional(Value(prefix)),
  level: Type.Integer({
    minimum: 0,
    maximum: 7,
    default: usualLevel,
    description: 'How urgent, as syslog counts: 0 emergency … 4 warning … 7 debug.',
  }),
});

const sectionSchema = Type.Object({
  to: Type.Union([Type.Literal('syslog'), Type.Literal('stdout'), Type.Object({ file: Value(path) })], {
    description: 'Where the lines go: the log of the system, standard output as JSON, or a file.',
  }),
});
export type LogmarkTarget = Static<typeof sectionSchema>['to'];

export const logmark: Extension = {
  name: 'LOGMARK',
  summary: 'Logs the marks of packets and of their connections.',
  actions: [
    actionWord(
      {
        name: 'logmark',
        description: 'Write a line to the log, with the marks of the packet and of its connection.',
        schema: actionSchema,
        places: ['prerouting', 'input', 'forward', 'output', 'postrouting'],
      },
      { compile: logging },
    ),
  ],
  sections: [
    sectionWord(
      {
        name: 'logmark',
        form: 'single',
        description: 'Where the lines of `logmark` go; to syslog if not given.',
        schema: sectionSchema,
      },
      { compile: () => {} },
    ),
  ],
  iptables: [{ kind: 'target', module: 'LOGMARK', options: { 'log-level': 1, 'log-prefix': 1 }, read: readOptions }],
  parity: {
    original: 'xt_LOGMARK',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'the daemon writes the line, to syslog (facility user), to standard output as JSON, or to a file; the original writes to the log of the kernel, on new kernels in pieces and without its level',
      'mark, translation and lifetime of the connection are read a moment later; a connection of which the first packet is dropped is gone by then, and shown as none',
      'ct= is the number that conntrack gives the connection, instead of an address in the kernel',
      'secmark and classify are always 0; in postrouting iif is 0: the kernel hands none of them out',
      'conntrack is on in a policy that logs marks; the original works without it',
      'a prefix has up to 29 characters, as the manual says; the original takes 14',
    ],
    checked:
      'the lines of the recorded module, packets and connections of both families through the kernel; syslog, standard output and file as their readers see them',
  },
};

function readOptions(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const [level, text] = [options.get('log-level')?.value, options.get('log-prefix')?.value];
  const spec = { ...(text !== undefined && { prefix: text }), ...(level !== undefined && { level: Number(level) }) };
  return { action: Object.keys(spec).length === 0 ? 'logmark' : { logmark: spec } };
}

function logging({ prefix: text = '', level }: Static<typeof actionSchema>, site: Site): ActionFragment {
  const group = site.nflogGroup(logmarkDuty);
  site.duty({ kind: logmarkDuty, name: logmarkDuty, nflogGroup: group, spec: {} });
  const number = site.numberOf('logmark', `${level} ${text}`);
  const copy = (state: LogmarkState, direction: LogmarkDirection, confirmed: boolean): Statement =>
    log({ prefix: `${level} ${state} ${direction} ${confirmed ? 1 : 0} ${text}`, group, snaplen: logmarkBytes });
  site.note('the daemon writes the line, from a copy of the header and what conntrack knows of it');
  return does(jump(site.sharedChain(`logmark_${number}`, linesOf(copy))));
}

type Copy = (state: LogmarkState, direction: LogmarkDirection, confirmed: boolean) => Statement;

/** One copy of every packet, in the line that fits its connection. */
function linesOf(copy: Copy): Line[] {
  const isOriginal = match(ct('direction'), 'original');
  const isUnconfirmed = match(and(ct('status'), 'confirmed'), 0);
  const line = (...statements: readonly Statement[]): Line => ({ statements: [...statements, returnVerdict] });
  const inState = (...states: readonly string[]): Statement => matchAny(ct('state'), states);
  return [
    line(inState('invalid', 'untracked'), copy('INVALID', 'ORIGINAL', false)),
    line(inState('established'), isOriginal, copy('ESTABLISHED', 'ORIGINAL', true)),
    line(inState('established'), copy('ESTABLISHED', 'REPLY', true)),
    line(inState('new'), isUnconfirmed, copy('NEW', 'ORIGINAL', false)),
    line(inState('new'), copy('NEW', 'ORIGINAL', true)),
    line(isUnconfirmed, copy('RELATED', 'ORIGINAL', false)),
    line(isOriginal, copy('RELATED', 'ORIGINAL', true)),
    line(copy('RELATED', 'REPLY', true)),
  ];
}

/** What the rule said in a copy's prefix. */
export interface LogmarkSaid {
  readonly level: number;
  readonly state: LogmarkState;
  readonly direction: LogmarkDirection;
  readonly confirmed: boolean;
  readonly prefix: string;
}

/** Undefined for what no rule of this kind wrote. */
export function readLogmarkPrefix(text: string): LogmarkSaid | undefined {
  const said = /^([0-7]) (NEW|ESTABLISHED|RELATED|INVALID) (ORIGINAL|REPLY) ([01]) (.*)$/.exec(text);
  if (said === null) return undefined;
  const [, level, state, direction, confirmed, rest = ''] = said;
  return {
    level: Number(level),
    state: state as LogmarkState,
    direction: direction as LogmarkDirection,
    confirmed: confirmed === '1',
    prefix: rest,
  };
}
