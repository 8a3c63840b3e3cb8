/**
 * A slow, plain evaluation of compiled rulesets on made-up packets: the part of nft that the core's words compile to.
 * What it doesn't know it throws on.
 */

import assert from 'node:assert/strict';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { parsePrefix } from '../../src/net/prefix.js';
import type { Chain, Expression, Ruleset, Statement, Table } from '../../src/nft/model.js';

export interface Packet {
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** Is the destination (the source) an address of this host? */
  readonly toMe: boolean;
  readonly fromMe: boolean;
  readonly in?: string;
  readonly out?: string;
  readonly protocol: number;
  readonly sport: number;
  readonly dport: number;
  readonly flags: number;
  readonly icmp: { readonly type: number; readonly code: number };
  readonly state: 'new' | 'established' | 'related' | 'invalid' | 'untracked';
}

export interface Outcome {
  readonly verdict: 'accept' | 'drop' | 'reject';
  /** Named counters, how often each. */
  readonly counts: Readonly<Record<string, number>>;
  /** `set address` for each element that a rule adds or deletes, with `+` or `-` before it. */
  readonly changes: readonly string[];
}

type Value = string | number;

/** What happens to a packet in one base chain. */
export function evaluate(ruleset: Ruleset, chainName: string, packet: Packet): Outcome {
  const table = ruleset.tables.find(({ family }) => family === 'inet')!;
  const run = new Run(table, packet);
  const chain = run.chain(chainName);
  const verdict = run.follow(chain) ?? chain.base?.policy ?? 'accept';
  return {
    verdict: verdict === 'return' ? (chain.base?.policy ?? 'accept') : verdict,
    counts: run.counts,
    changes: run.changes,
  };
}

type End = 'accept' | 'drop' | 'reject' | 'return';

class Run {
  readonly counts: Record<string, number> = {};
  readonly changes: string[] = [];

  constructor(
    readonly table: Table,
    readonly packet: Packet,
  ) {}

  chain(name: string): Chain {
    const chain = this.table.chains.find((candidate) => candidate.name === name);
    assert.ok(chain, `no chain ${name}`);
    return chain;
  }

  follow(chain: Chain): End | undefined {
    for (const { statements } of chain.rules) {
      const end = this.#rule(statements);
      if (end !== undefined) return end;
    }
    return undefined;
  }

  #rule(statements: readonly Statement[]): End | undefined {
    for (const statement of statements) {
      if ('accept' in statement) return 'accept';
      if ('drop' in statement) return 'drop';
      if ('reject' in statement) return 'reject';
      if ('return' in statement) return 'return';
      if ('jump' in statement) {
        const end = this.follow(this.chain(statement.jump.target));
        return end === 'return' ? undefined : end;
      }
      if ('goto' in statement) return this.follow(this.chain(statement.goto.target)) ?? 'return';
      if ('vmap' in statement) {
        assert.ok('entries' in statement.vmap, 'no entries');
        const value = this.#read(statement.vmap.key);
        const found = statement.vmap.entries.find(([key]) => value !== undefined && this.#isIn(value, key));
        return found && this.#rule([found[1]]);
      }
      if (!this.#step(statement)) return undefined;
    }
    return undefined;
  }

  /** Goes on within the rule when it is true. */
  #step(statement: Statement): boolean {
    if ('counter' in statement) {
      const name = statement.counter ?? '';
      this.counts[name] = (this.counts[name] ?? 0) + 1;
      return true;
    }
    if ('set' in statement) {
      const key = this.#read(statement.set.elem);
      if (key === undefined) return false;
      this.changes.push(`${statement.set.op === 'delete' ? '-' : '+'}${statement.set.set} ${key}`);
      return true;
    }
    if ('match' in statement) {
      const { left, op, right } = statement.match;
      const value = this.#read(left);
      if (value === undefined) return false;
      const is = this.#isIn(value, right);
      return op === '!=' ? !is : is;
    }
    throw new Error(`not known here: ${JSON.stringify(statement)}`);
  }

  /** Undefined when the packet has no such thing: the rule ends. */
  #read(expression: Expression): Value | undefined {
    const { packet } = this;
    if (typeof expression !== 'object') throw new Error(`no value: ${expression}`);
    if ('meta' in expression) {
      const known: Record<string, Value | undefined> = {
        nfproto: packet.family === 4 ? 'ipv4' : 'ipv6',
        l4proto: packet.protocol,
        iifname: packet.in ?? '',
        oifname: packet.out ?? '',
      };
      return known[expression.meta.key];
    }
    if ('ct' in expression && expression.ct.key === 'state') return packet.state;
    if ('fib' in expression) {
      const isLocal = expression.fib.flags[0] === 'daddr' ? packet.toMe : packet.fromMe;
      return isLocal ? 'local' : 'unicast';
    }
    if ('&' in expression) {
      const [left, mask] = expression['&'];
      const value = this.#read(left);
      if (value === undefined) return undefined;
      if (isAddress(value)) {
        const { family, value: bits } = parseAddress(value);
        return formatAddress({ family, value: bits & parseAddress(literal(mask)).value });
      }
      return Number(value) & bitsOf(mask);
    }
    if ('payload' in expression && 'protocol' in expression.payload) return this.#field(expression.payload);
    throw new Error(`not known here: ${JSON.stringify(expression)}`);
  }

  #field({ protocol, field }: { readonly protocol: string; readonly field: string }): Value | undefined {
    const { packet } = this;
    const families: Record<string, 4 | 6> = { ip: 4, icmp: 4, ip6: 6, icmpv6: 6 };
    if (families[protocol] !== undefined && families[protocol] !== packet.family) return undefined;
    const protocols: Record<string, number> = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58 };
    if (protocols[protocol] !== undefined && protocols[protocol] !== packet.protocol) return undefined;
    const fields: Record<string, Value> = {
      saddr: packet.source,
      daddr: packet.destination,
      sport: packet.sport,
      dport: packet.dport,
      flags: packet.flags,
      type: packet.icmp.type,
      code: packet.icmp.code,
    };
    return fields[field];
  }

  #isIn(value: Value, right: Expression): boolean {
    if (typeof right === 'string' && right.startsWith('@')) {
      const set = this.table.sets.find(({ name }) => `@${name}` === right);
      assert.ok(set, `no set ${right}`);
      return (set.elements ?? []).some((element) => this.#isIn(value, element.value));
    }
    if (typeof right === 'object' && 'set' in right) return right.set.some((member) => this.#isIn(value, member));
    if (typeof right === 'object' && 'range' in right) {
      return (
        numberOf(value) >= numberOf(literal(right.range[0])) && numberOf(value) <= numberOf(literal(right.range[1]))
      );
    }
    if (typeof right === 'object' && 'prefix' in right) {
      const prefix = parsePrefix(`${literal(right.prefix.addr)}/${right.prefix.len}`);
      const bits = BigInt((prefix.family === 4 ? 32 : 128) - prefix.length);
      return numberOf(value) >> bits === prefix.value >> bits;
    }
    if (typeof right === 'object' && '|' in right) return Number(value) === bitsOf(right);
    const expected = literal(right);
    if (typeof value === 'number')
      return value === (messages[this.packet.family][expected] ?? constants[expected] ?? Number(expected));
    return value === expected;
  }
}

const constants: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  'ipv6-icmp': 58,
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
};

/** Types of messages, whose names mean other numbers in each family. */
const messages: Readonly<Record<4 | 6, Readonly<Record<string, number>>>> = {
  4: { 'echo-request': 8, 'destination-unreachable': 3 },
  6: { 'echo-request': 128, 'destination-unreachable': 1, 'packet-too-big': 2 },
};

function bitsOf(expression: Expression): number {
  if (typeof expression === 'object' && '|' in expression)
    return expression['|'].reduce<number>((sum, bit) => sum | bitsOf(bit), 0);
  const text = literal(expression);
  return constants[text] ?? Number(text);
}

/** A name or a number that isn't known would never be equal to anything. */
function literal(expression: Expression): string {
  if (typeof expression === 'object') throw new Error(`not known here: ${JSON.stringify(expression)}`);
  return String(expression);
}

const isAddress = (value: Value): value is string => typeof value === 'string' && /[.:]/.test(value);

const numberOf = (value: Value): bigint => (isAddress(value) ? parseAddress(value).value : BigInt(value));
