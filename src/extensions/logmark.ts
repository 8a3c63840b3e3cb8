/**
 * LOGMARK: a line in the log for each packet, with the marks of the packet and of its connection. The rule hands the
 * daemon a copy of the header; what only the rule knows (how the connection stood at that moment) is in the log prefix.
 */

import type { Static } from 'typebox';
import {
  and,
  concat,
  ct,
  goto,
  jump,
  log,
  lookup,
  mangle,
  match,
  matchAny,
  meta,
  returnVerdict,
  updateMap,
} from '../nft/build.js';
import type { Expression, Statement, Verdict } from '../nft/model.js';
import { path } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { type Format, Value } from '../policy/types.js';
import { actionWord, type Extension, sectionWord } from './extension.js';
import { type ActionFragment, does, type Line } from './fragment.js';
import { type IptablesOption, type IptablesReading, numeral } from './iptables.js';
import type { LogmarkDirection, LogmarkState } from './models/logmark.js';
import type { SetRequest, Site } from './site.js';

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
  level: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 7,
      description: 'How urgent, as syslog counts: 0 emergency … 4 warning (if not given) … 7 debug.',
    }),
  ),
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
      'ASSURED, SNAT, DNAT and lifetime are read from conntrack a moment later: of a connection that is over by then they are missing',
      'ct= is the number that conntrack gives the connection, instead of an address in the kernel',
      'secmark and classify are always 0: the kernel does not hand them out',
      'conntrack is on in a policy that logs marks; the original works without it',
      'a prefix has up to 29 characters, as the manual says; the original takes 14',
    ],
    checked:
      'the lines of the recorded module, packets and connections of both families through the kernel; syslog, standard output and file as their readers see them',
  },
};

function readOptions(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const [level, text] = [options.get('log-level')?.value, options.get('log-prefix')?.value];
  const spec = { ...(text !== undefined && { prefix: text }), ...(level !== undefined && { level: numeral(level) }) };
  return { action: Object.keys(spec).length === 0 ? 'logmark' : { logmark: spec } };
}

function logging({ prefix: text = '', level = usualLevel }: Static<typeof actionSchema>, site: Site): ActionFragment {
  const group = site.nflogGroup(logmarkDuty);
  site.duty({ kind: logmarkDuty, name: logmarkDuty, nflogGroup: group, spec: {} });
  const number = site.numberOf('logmark', `${level} ${text}`);
  const copy = (what: string): Statement => log({ prefix: what, group, snaplen: logmarkBytes });
  const marks = site.sharedChain('logmark_connection', connectionLines(copy, site));
  const said: Said = (state, direction, confirmed) =>
    copy(`${level} ${state} ${direction} ${confirmed ? 1 : 0} ${text}`);
  site.note('the daemon writes the line, from copies of the header: one for each mark');
  return does(jump(site.sharedChain(`logmark_${number}`, linesOf(said, goto(marks)))));
}

type Said = (state: LogmarkState, direction: LogmarkDirection, confirmed: boolean) => Statement;

/** One copy of every packet, in the line that fits its connection. */
function linesOf(said: Said, connection: Verdict): Line[] {
  const isOriginal = match(ct('direction'), 'original');
  const isUnconfirmed = match(and(ct('status'), 'confirmed'), 0);
  const line = (...statements: readonly Statement[]): Line => ({ statements });
  const inState = (...states: readonly string[]): Statement => matchAny(ct('state'), states);
  return [
    line(inState('invalid', 'untracked'), said('INVALID', 'ORIGINAL', false), returnVerdict),
    line(inState('established'), isOriginal, said('ESTABLISHED', 'ORIGINAL', true), connection),
    line(inState('established'), said('ESTABLISHED', 'REPLY', true), connection),
    line(inState('new'), isUnconfirmed, said('NEW', 'ORIGINAL', false), connection),
    line(inState('new'), said('NEW', 'ORIGINAL', true), connection),
    line(isUnconfirmed, said('RELATED', 'ORIGINAL', false), connection),
    line(isOriginal, said('RELATED', 'ORIGINAL', true), connection),
    line(said('RELATED', 'REPLY', true), connection),
  ];
}

/** Prefixes of the copies whose mark is not the packet's, but the mark of its connection or the number of that. */
export const connectionMark = 'connection mark';
export const connectionNumber = 'connection number';

/** Packets of one connection that are in this chain at the same time, on different processors, keep their marks apart. */
const place: readonly Expression[] = [ct('id'), meta('cpu')];

/**
 * A copy tells one mark, that of the packet. So for a moment the packet has the mark of its connection, then the number of
 * it, while its own is kept in a map. Where the map has no place, these copies aren't made.
 */
function connectionLines(copy: (what: string) => Statement, site: Site): Line[] {
  const request: SetRequest = {
    role: { kind: 'extension', extension: logmarkDuty, name: logmarkDuty, purpose: 'marks' },
    key: { typeof: place, of: ['mark', 'mark'] },
    data: { typeof: [meta('mark')], of: ['mark'] },
    flags: ['dynamic', 'timeout'],
    size: 65_536,
    timeoutMs: 10_000,
  };
  const kept = site.set(request);
  const key = concat(...place);
  const mark = meta('mark');
  return [
    {
      statements: [
        updateMap(kept, key, mark),
        mangle(mark, ct('mark')),
        copy(connectionMark),
        mangle(mark, ct('id')),
        copy(connectionNumber),
        mangle(mark, lookup(key, kept)),
        returnVerdict,
      ],
    },
    { statements: [site.overflow(request)] },
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
