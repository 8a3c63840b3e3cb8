/** The text of a test file to what it says, with every mistake at its place. */

import { asPosternError } from '../../errors.js';
import type { AddressRange } from '../../net/address.js';
import { parseDuration } from '../../net/duration.js';
import { parsePort } from '../../net/port.js';
import { parsePrefix, parseRange, prefixRange } from '../../net/prefix.js';
import { DiagnosticLog } from '../../policy/diagnostics.js';
import { type Entry, kindName, type Node, Text } from '../../policy/node.js';
import { LineError, parseLine } from '../../policy/packet-line.js';
import { didYouMean } from '../../policy/suggest.js';
import { readYaml } from '../../policy/yaml.js';
import { TCP_FLAGS } from '../../wire/packet.js';
import type { State, Verdict } from '../reading.js';
import { fieldsOf } from './fields.js';
import { HostReader } from './host-reader.js';
import type { Expectation, Given, PolicyTest, Reply, Sent, Share, Step, TestFile } from './model.js';
import { parseSocket } from './socket-reader.js';

const verdicts: readonly Verdict[] = ['accept', 'drop', 'reject', 'answered', 'reflected', 'lost', 'incomplete'];
const states: readonly State[] = ['new', 'established', 'related', 'invalid', 'untracked', 'none'];
const MOST_REPEATS = 100_000;
const MOST_WAIT_MS = 60_000;

export interface ReadTests {
  /** Absent when there is an error among the diagnostics. */
  readonly file?: TestFile;
  readonly diagnostics: ReturnType<DiagnosticLog['list']>;
}

/** Reads a test file. Never throws on a text. */
export function readTests(text: string, name: string): ReadTests {
  const log = new DiagnosticLog();
  const root = readYaml(text, name, log);
  const file = root === undefined ? undefined : new TestReader(log).file(root);
  if (root === undefined && log.errors === 0)
    log.error({ file: name, line: 1, column: 1 }, 'the file is empty', 'begin with "tests:"');
  return { ...(file !== undefined && log.errors === 0 && { file }), diagnostics: log.list() };
}

class TestReader {
  constructor(private readonly log: DiagnosticLog) {}

  file(root: Node): TestFile | undefined {
    if (root.kind !== 'map') return this.#wrong(root, 'a test file', 'a map with "tests:"');
    const fields = fieldsOf(this.log, root, ['policy', 'host', 'forwarding', 'sysctls', 'tests']);
    const policy = fields.get('policy')?.value;
    const host = new HostReader(this.log).read(fields);
    const tests = fields.get('tests');
    if (tests === undefined) this.log.error(root.at, '"tests:" is missing');
    const list = tests === undefined ? [] : this.#list(tests.value, 'tests').flatMap((node) => this.#test(node) ?? []);
    return { ...(policy?.kind === 'text' && { policy: policy.value }), ...host, tests: list };
  }

  #test(node: Node): PolicyTest | undefined {
    if (node.kind !== 'map') return this.#wrong(node, 'a test', 'a map with "name:" and "steps:"');
    const fields = fieldsOf(this.log, node, ['name', 'given', 'steps']);
    const name = fields.get('name')?.value;
    if (name?.kind !== 'text') return void this.log.error(node.at, 'the test has no "name:"');
    const steps = fields.get('steps');
    if (steps === undefined) return void this.log.error(node.at, 'the test has no "steps:"');
    return {
      name: name.value,
      at: node.at,
      given: this.#given(fields.get('given')?.value),
      steps: this.#list(steps.value, 'steps').flatMap((step) => this.#step(step) ?? []),
    };
  }

  #given(node: Node | undefined): Given {
    const nothing: Given = { tables: [], flows: [], sockets: [] };
    if (node === undefined) return nothing;
    if (node.kind !== 'map') {
      return this.#wrong(node, 'given', 'a map with "tables:", "connections:" or "sockets:"') ?? nothing;
    }
    const fields = fieldsOf(this.log, node, ['tables', 'connections', 'sockets']);
    const tables = fields.get('tables')?.value;
    const listed = (name: string): readonly Node[] => {
      const value = fields.get(name)?.value;
      return value === undefined ? [] : this.#list(value, name);
    };
    return {
      tables: tables === undefined ? [] : this.#tables(tables),
      flows: listed('connections').flatMap((flow) => this.#sent(flow) ?? []),
      sockets: listed('sockets').flatMap((socket) => this.#convert(socket, 'sockets', parseSocket) ?? []),
    };
  }

  #tables(node: Node): { table: string; entries: AddressRange[]; at: Node['at'] }[] {
    if (node.kind !== 'map') return this.#wrong(node, 'tables', 'a map from names of tables') ?? [];
    return node.entries.map(({ key, value }) => ({
      table: key.value,
      at: key.at,
      entries: this.#list(value, key.value).flatMap((entry) => this.#range(entry) ?? []),
    }));
  }

  #step(node: Node): Step | undefined {
    if (node.kind !== 'map') return this.#wrong(node, 'a step', 'a map with "packet:", "advance:" or "wait:"');
    const fields = fieldsOf(this.log, node, ['packet', 'packets', 'repeat', 'expect', 'advance', 'wait']);
    for (const kind of ['advance', 'wait'] as const) {
      const time = fields.get(kind);
      if (time !== undefined) return this.#time(kind, time, fields);
    }
    const one = fields.get('packet');
    const many = fields.get('packets');
    if ((one === undefined) === (many === undefined)) {
      return void this.log.error(node.at, 'a step has either "packet:" or "packets:"');
    }
    const nodes = one === undefined ? this.#list(many!.value, 'packets') : [one.value];
    const packets = nodes.flatMap((packet) => this.#sent(packet) ?? []);
    const expect = fields.get('expect')?.value;
    const repeat = this.#count(fields.get('repeat')?.value, 'repeat', MOST_REPEATS) ?? 1;
    return { kind: 'packets', at: node.at, packets, repeat, expect: expect === undefined ? [] : this.#expect(expect) };
  }

  #time(kind: 'advance' | 'wait', { key, value }: Entry, fields: ReadonlyMap<string, Entry>): Step | undefined {
    if (fields.size > 1) this.log.error(key.at, `"${kind}" stands alone in its step`);
    const ms = this.#convert(value, kind, parseDuration);
    if (ms === undefined) return undefined;
    if (kind === 'wait' && ms > MOST_WAIT_MS) {
      return void this.log.error(value.at, `"wait" is at most ${MOST_WAIT_MS / 1000}s`, 'use "advance:" for timeouts');
    }
    return { kind, at: key.at, ms };
  }

  #sent(node: Node): Sent | undefined {
    if (node.kind !== 'text') return this.#wrong(node, 'a packet', 'one line');
    try {
      return { line: parseLine(node.value), text: node.value, at: node.at };
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      return void this.log.error(node.slice(error.column - 1, error.column).at, error.problem);
    }
  }

  #expect(node: Node): Expectation[] {
    if (node.kind !== 'map') return this.#wrong(node, 'expect', 'a map') ?? [];
    const known = ['verdict', 'by', 'out', 'state', 'mark', 'tables', 'duties', 'reply', 'verdicts'];
    return [...fieldsOf(this.log, node, known).values()].flatMap((entry) => this.#expectation(entry));
  }

  #expectation({ key, value }: Entry): Expectation[] {
    const { at } = key;
    const some = <T>(read: T | undefined, make: (value: T) => Expectation): Expectation[] =>
      read === undefined ? [] : [make(read)];
    switch (key.value) {
      case 'verdict':
        return some(this.#word(value, 'verdict', verdicts), (verdict) => ({ at, what: 'verdict', verdict }));
      case 'by':
        return some(this.#text(value, 'by'), (by) => ({ at, what: 'by', by }));
      case 'out': {
        const names = this.#list(value, 'out').flatMap((name) => this.#text(name, 'out') ?? []);
        return [{ at, what: 'out', interfaces: names.filter((name) => name !== 'none') }];
      }
      case 'state':
        return some(this.#word(value, 'state', states), (state) => ({ at, what: 'state', state }));
      case 'mark':
        return some(this.#count(value, 'mark', 0xffff_ffff), (mark) => ({ at, what: 'mark', mark }));
      case 'tables':
        return this.#tables(value).map(({ table, entries, at: where }) => ({
          at: where,
          what: 'tables',
          table,
          hosts: entries,
        }));
      case 'duties':
        return [
          {
            at,
            what: 'duties',
            duties: this.#list(value, 'duties').flatMap((duty) => this.#text(duty, 'duties') ?? []),
          },
        ];
      case 'reply':
        return some(this.#reply(value), (reply) => ({ at, what: 'reply', reply }));
      default:
        return [{ at, what: 'verdicts', shares: this.#shares(value) }];
    }
  }

  #reply(node: Node): 'none' | Reply | undefined {
    if (node.kind === 'text' && node.value === 'none') return 'none';
    if (node.kind !== 'map') return this.#wrong(node, 'reply', 'a map, or none');
    const fields = fieldsOf(this.log, node, ['tcp', 'icmp', 'from', 'port']);
    const [tcp, icmp, from, port] = ['tcp', 'icmp', 'from', 'port'].map((name) => fields.get(name)?.value);
    const flags = tcp && this.#convert(tcp, 'tcp', flagsOf);
    const message = icmp && this.#text(icmp, 'icmp');
    const source = from && this.#range(from);
    const number = port && this.#convert(port, 'port', (text) => parsePort(text));
    return {
      ...(flags !== undefined && { tcp: flags }),
      ...(message !== undefined && { icmp: message }),
      ...(source !== undefined && { from: source }),
      ...(number !== undefined && { port: number }),
    };
  }

  #shares(node: Node): Share[] {
    if (node.kind !== 'map') return this.#wrong(node, 'verdicts', 'a map from verdicts to shares') ?? [];
    return node.entries.flatMap(({ key, value }) => {
      const verdict = this.#word(key, 'verdict', verdicts);
      const share = this.#convert(value, key.value, shareOf);
      return verdict === undefined || share === undefined ? [] : [{ verdict, ...share }];
    });
  }

  #range(node: Node): AddressRange | undefined {
    return this.#convert(node, 'an address', rangeOf);
  }

  #count(node: Node | undefined, name: string, most: number): number | undefined {
    if (node === undefined) return undefined;
    const value = this.#convert(node, name, (text) =>
      /^(?:0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN,
    );
    if (value === undefined) return undefined;
    if (value >= 0 && value <= most) return value;
    return void this.log.error(node.at, `"${name}" is a number up to ${most}`);
  }

  #word<W extends string>(node: Node, name: string, words: readonly W[]): W | undefined {
    const text = this.#text(node, name);
    if (text === undefined) return undefined;
    const found = words.find((word) => word === text);
    if (found === undefined)
      this.log.error(node.at, `"${text}" is no ${name}`, didYouMean(text, words) ?? words.join(', '));
    return found;
  }

  #text(node: Node, name: string): string | undefined {
    return node.kind === 'text' ? node.value : this.#wrong(node, name, 'a single value');
  }

  #convert<T>(node: Node, name: string, convert: (text: string) => T): T | undefined {
    if (!(node instanceof Text)) return this.#wrong(node, name, 'a single value');
    try {
      return convert(node.value);
    } catch (error) {
      return void this.log.error(node.at, asPosternError(error).message);
    }
  }

  /** A single value stands for a list of one. */
  #list(node: Node, name: string): readonly Node[] {
    if (node.kind === 'list') return node.items;
    if (node.kind === 'text') return [node];
    return this.#wrong(node, name, 'a list') ?? [];
  }

  #wrong(node: Node, name: string, wanted: string): undefined {
    if (node.kind === 'nothing') this.log.error(node.at, `"${name}" has no value`);
    else this.log.error(node.at, `"${name}" takes ${wanted}, not ${kindName(node)}`);
  }
}

function rangeOf(text: string): AddressRange {
  return text.includes('-') ? parseRange(text) : prefixRange(parsePrefix(text));
}

function flagsOf(text: string): number {
  if (text === 'none') return 0;
  return text.split(',').reduce((flags, name) => {
    const bit = (TCP_FLAGS as readonly string[]).indexOf(name.trim());
    if (bit < 0) throw new RangeError(`"${name}" is no TCP flag; they are ${TCP_FLAGS.join(', ')}`);
    return flags | (1 << bit);
  }, 0);
}

/** `30%`, `20..40%`. */
function shareOf(text: string): { least: number; most: number } {
  const found = /^(\d+(?:\.\d+)?)(?:\s*\.\.\s*(\d+(?:\.\d+)?))?\s*%$/.exec(text);
  const least = Number(found?.[1]) / 100;
  const most = found?.[2] === undefined ? least : Number(found[2]) / 100;
  if (found === null || least > most || most > 1) throw new RangeError(`"${text}" is no share; write it as 20..40%`);
  return { least, most };
}
