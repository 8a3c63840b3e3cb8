/** ICMP messages by names that mean the same in both families (RFC 792, RFC 4443 and the IANA registries). */

import type { IcmpTerm } from '../ast.js';
import { Misread } from '../scope.js';
import { didYouMean } from '../suggest.js';
import type { Format } from '../types.js';

interface Message {
  readonly type: number;
  readonly code?: number;
}

interface Both {
  readonly v4?: Message;
  readonly v6?: Message;
}

function message(v4: number | undefined, v6: number | undefined): Both {
  return { ...(v4 === undefined ? {} : { v4: { type: v4 } }), ...(v6 === undefined ? {} : { v6: { type: v6 } }) };
}

function coded(v4: readonly [number, number] | undefined, v6: readonly [number, number] | undefined): Both {
  return {
    ...(v4 === undefined ? {} : { v4: { type: v4[0], code: v4[1] } }),
    ...(v6 === undefined ? {} : { v6: { type: v6[0], code: v6[1] } }),
  };
}

const messages: ReadonlyMap<string, Both> = new Map([
  ['echo-request', message(8, 128)],
  ['echo-reply', message(0, 129)],
  ['unreachable', message(3, 1)],
  ['unreachable/net', coded([3, 0], [1, 0])],
  ['unreachable/host', coded([3, 1], [1, 3])],
  ['unreachable/port', coded([3, 3], [1, 4])],
  ['unreachable/admin', coded([3, 13], [1, 1])],
  ['unreachable/protocol', coded([3, 2], undefined)],
  ['too-big', { v4: { type: 3, code: 4 }, v6: { type: 2 } }],
  ['time-exceeded', message(11, 3)],
  ['time-exceeded/transit', coded([11, 0], [3, 0])],
  ['time-exceeded/reassembly', coded([11, 1], [3, 1])],
  ['parameter-problem', message(12, 4)],
  ['redirect', message(5, 137)],
  ['router-advertisement', message(9, 134)],
  ['router-solicitation', message(10, 133)],
  ['neighbor-solicitation', message(undefined, 135)],
  ['neighbor-advertisement', message(undefined, 136)],
  ['source-quench', message(4, undefined)],
  ['timestamp-request', message(13, undefined)],
  ['timestamp-reply', message(14, undefined)],
  ['info-request', message(15, undefined)],
  ['info-reply', message(16, undefined)],
  ['address-mask-request', message(17, undefined)],
  ['address-mask-reply', message(18, undefined)],
  ['mld-query', message(undefined, 130)],
  ['mld-report', message(undefined, 131)],
  ['mld-done', message(undefined, 132)],
  ['mld2-report', message(undefined, 143)],
]);

/** Words of pf, ipfw, ipf and nft for the same. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['echoreq', 'echo-request'],
  ['echorep', 'echo-reply'],
  ['ping', 'echo-request'],
  ['pong', 'echo-reply'],
  ['unreach', 'unreachable'],
  ['destination-unreachable', 'unreachable'],
  ['frag-needed', 'too-big'],
  ['needfrag', 'too-big'],
  ['packet-too-big', 'too-big'],
  ['toobig', 'too-big'],
  ['timex', 'time-exceeded'],
  ['paramprob', 'parameter-problem'],
  ['redir', 'redirect'],
  ['nd-redirect', 'redirect'],
  ['routeradv', 'router-advertisement'],
  ['nd-router-advert', 'router-advertisement'],
  ['routersol', 'router-solicitation'],
  ['nd-router-solicit', 'router-solicitation'],
  ['neighbrsol', 'neighbor-solicitation'],
  ['nd-neighbor-solicit', 'neighbor-solicitation'],
  ['neighbradv', 'neighbor-advertisement'],
  ['nd-neighbor-advert', 'neighbor-advertisement'],
  ['squench', 'source-quench'],
  ['timereq', 'timestamp-request'],
  ['timerep', 'timestamp-reply'],
  ['maskreq', 'address-mask-request'],
  ['maskrep', 'address-mask-reply'],
  ['mld-listener-query', 'mld-query'],
  ['mld-listener-report', 'mld-report'],
  ['mld-listener-done', 'mld-done'],
  ['mld2-listener-report', 'mld2-report'],
]);

const names = [...messages.keys(), ...aliases.keys()];

/**
 * A message by name, by name and numeric code, or by number: `echo-request`, `unreachable/3`, `3/4`. A number alone is read
 * for both families, which only a rule of one family may use: `3` is another message in each.
 */
export const icmpTerm: Format<IcmpTerm> = {
  name: 'icmp',
  label: 'MESSAGE',
  description: `An ICMP message of both families, by name: ${[...messages.keys()].slice(0, 6).join(', ')}; in a rule with \`family:\` also type/code.`,
  json: {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: 255 },
      { type: 'string', pattern: '^[a-z0-9-]+(/[a-z0-9-]+)?$' },
    ],
  },
  parse: ({ value }) => {
    const found = icmpNumbers(value);
    if (found !== undefined) return { name: value, ...found };
    if (value === 'any') throw new Misread('"any" stands alone, not in a list and not behind "not"');
    throw new Misread(`"${value}" is no ICMP message`, didYouMean(value, names));
  },
};

/** The type and code of a message by name or number, in each family; undefined when there is none. */
export function icmpNumbers(text: string): Both | undefined {
  return byName(text) ?? byNumber(text);
}

/** Was a type or code given by number, whose meaning depends on the family? */
export function isNumeric(term: IcmpTerm): boolean {
  return /(^|\/)[0-9]/.test(term.name);
}

function byName(text: string): Both | undefined {
  const slash = text.indexOf('/');
  const name = slash < 0 ? text : text.slice(0, slash);
  const full = aliases.get(name) ?? name;
  if (slash < 0) return messages.get(full);
  const code = text.slice(slash + 1);
  const both = messages.get(full);
  if (both === undefined) return undefined;
  return messages.get(`${full}/${code}`) ?? (octet(code) ? withCode(both, Number(code)) : undefined);
}

/** `too-big` is a code already in IPv4. */
function withCode({ v4, v6 }: Both, code: number): Both | undefined {
  if (v4?.code !== undefined || v6?.code !== undefined) return undefined;
  return { ...(v4 && { v4: { ...v4, code } }), ...(v6 && { v6: { ...v6, code } }) };
}

function byNumber(text: string): Both | undefined {
  const [type, code, ...more] = text.split('/');
  if (!octet(type) || (code !== undefined && !octet(code)) || more.length > 0) return undefined;
  const found = { type: Number(type), ...(code === undefined ? {} : { code: Number(code) }) };
  return { v4: found, v6: found };
}

function octet(text: string | undefined): text is string {
  return text !== undefined && /^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255;
}
