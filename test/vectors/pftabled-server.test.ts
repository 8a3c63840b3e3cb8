import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { parseName } from '../../src/net/name.js';
import { PftabledReceiver } from '../../src/services/pftabled/receiver.js';
import { MemoryReplayWindow } from '../../src/services/replay-window.js';
import { pftabledKey } from '../../src/wire/pftabled.js';
import { TableDouble } from '../services/pftabled/table-double.js';
import { testVectors, type Vector } from './vectors.js';

interface Step {
  readonly datagram_hex?: string;
  readonly set_clock?: number;
  readonly server_clock: number;
  /** `OP TABLE ADDRESS/MASK RESULT`. */
  readonly pf_calls: readonly string[];
  readonly log_lines: readonly string[];
  readonly server_alive: boolean;
}

interface ServerVector extends Vector {
  readonly server: string;
  readonly options: readonly string[];
  readonly existing_tables: readonly string[];
  readonly key_hex: string | null;
  readonly steps: readonly Step[];
  readonly startup_output?: readonly string[];
}

const differences = {
  'command line of the server':
    'our receiver is configured by the policy; what the original refuses there is refused there',
  'replay refused': 'the original runs a datagram again as often as it comes within its clock window',
  'stays alive': 'the original ends with any pf call that fails; ours refuses the request',
  'timeout extended': 'the original deletes an entry when its first timeout is due, also when it was added again',
  'version 0 refused': 'the original takes version 0 for 2; no client ever sent it',
  'long datagram refused': 'the original cuts at 64 bytes and runs what only looks like a request',
  'mask 0 refused': 'clearing host bits by mask 0 is undefined in the original; 198.51.100.1/0 must not mean everybody',
  'version 1 signed as it stands': 'the original from 1.06 on breaks its promise to take what 1.05 signs',
  'version 1 signed as a host': 'we take both forms of version 1, a 1.05 server one',
  'version 2 taken': 'a 1.05 server knows version 1 only; ours takes both',
  'clock ahead taken': 'a 1.05 server refuses a clock that is ahead by a second; ours tolerates 60 s both ways',
} as const;

type Difference = keyof typeof differences;

testVectors<ServerVector, Difference>('pftabled-server', differences, async (vector) => {
  if (vector.startup_output !== undefined) return checkStart(vector);
  const { receiver, tables, clock } = serverOf(vector);
  const model = new Model(vector);
  for (const [index, step] of vector.steps.entries()) {
    clock.ms = step.server_clock * 1000;
    const where = `step ${index + 1}`;
    if (step.datagram_hex === undefined) {
      model.pass(step);
    } else {
      const before = new Map(receiver.counts);
      receiver.receive(Buffer.from(step.datagram_hex, 'hex'), '127.0.0.1');
      await receiver.settled();
      const results = [...receiver.counts].filter(([result, count]) => count !== before.get(result));
      assert.deepEqual(
        results.map(([result, count]) => [result, count - before.get(result)!]),
        [[model.take(step, results[0]?.[0] ?? ''), 1]],
        where,
      );
    }
    assert.deepEqual(tables.present(), model.present(step.server_clock), `${where}: what is in the tables`);
  }
  return [...model.differences];
});

/** What the original doesn't start with is refused by us, too: a key that is too short, a name that is too long. */
function checkStart({ options, key_hex }: ServerVector): Difference[] {
  const table = optionValue(options, '-f');
  if (table !== undefined && table.length > 31) assert.throws(() => parseName('table', table));
  const [, size] = /^key(\d+)$/.exec(optionValue(options, '-k') ?? '') ?? [];
  if (Number(size) < 20) {
    assert.throws(() => pftabledKey(Buffer.from(key_hex ?? '', 'hex').subarray(0, Number(size))), { code: 'invalid' });
  }
  return ['command line of the server'];
}

function optionValue(options: readonly string[], name: string): string | undefined {
  const at = options.lastIndexOf(name);
  return at < 0 ? undefined : options[at + 1];
}

function serverOf(vector: ServerVector) {
  const clock = { ms: 0 };
  const now = () => clock.ms;
  const tables = new TableDouble(vector.existing_tables, now);
  const force = optionValue(vector.options, '-f');
  const timeoutS = Number(optionValue(vector.options, '-t') ?? 0);
  const receiver = new PftabledReceiver(
    {
      tables: changeable(vector),
      ...(force === undefined ? {} : { force }),
      ...(vector.options.includes('-k') ? { key: pftabledKey(Buffer.from(vector.key_hex!, 'hex')) } : {}),
    },
    { tables, window: new MemoryReplayWindow(now), log: { warn() {} }, now, timeoutMs: timeoutS * 1000 },
  );
  return { receiver, tables, clock };
}

/** A table that pf calls constant is one that clients may not change. */
function changeable({ existing_tables, steps }: ServerVector): Set<string> {
  const calls = steps.flatMap((step) => step.pf_calls).map((call) => call.split(' '));
  const constant = calls.filter((call) => call.at(-1) === 'EPERM').map(([, table]) => table);
  return new Set(existing_tables.filter((table) => !constant.includes(table)));
}

type Result =
  | 'added'
  | 'deleted'
  | 'flushed'
  | 'size'
  | 'version'
  | 'clock'
  | 'digest'
  | 'command'
  | 'table'
  | 'mask'
  | 'replay';

const logged: readonly (readonly [RegExp, Result])[] = [
  [/wrong protocol version/, 'version'],
  [/wrong timestamp|timestamp too old/, 'clock'],
  [/wrong authentication/, 'digest'],
  [/received unknown command/, 'command'],
];

const done = { ADD: 'added', DEL: 'deleted', FLUSH: 'flushed' } as const;
const commands: Readonly<Record<number, keyof typeof done>> = { 1: 'ADD', 2: 'DEL', 3: 'FLUSH' };

/**
 * What has to become of each datagram: what the reference did, unless one of the differences is told by the fields of
 * the vector; and what is in the tables then.
 */
class Model {
  readonly differences = new Set<Difference>();
  /** When each entry that is there was added last, in seconds. */
  readonly #added = new Map<string, number>();
  readonly #taken = new Set<string>();
  readonly #timeoutS: number;

  constructor(readonly vector: ServerVector) {
    this.#timeoutS = Number(optionValue(vector.options, '-t') ?? 0) || Number.POSITIVE_INFINITY;
  }

  /** A step without a datagram: only timeouts. */
  pass(step: Step): void {
    this.#expire(step.pf_calls, step.server_clock);
  }

  /** `got` settles what the reference leaves open: without -v it tells nothing about refusals. */
  take(step: Step, got: string): Result | string {
    const bytes = Buffer.from(step.datagram_hex!, 'hex');
    const call = this.#ownCall(step, bytes);
    const reference = this.#referenceResult(step, call, bytes, got);
    const result = this.#ours(step, bytes, call, reference);
    if (result === 'added' || result === 'deleted' || result === 'flushed') {
      this.#taken.add(markOf(bytes, this.vector));
      this.#apply(result, call ?? this.#askedCall(bytes), step.server_clock);
    }
    this.#expire(call === undefined ? step.pf_calls : step.pf_calls.slice(0, -1), step.server_clock);
    return result;
  }

  present(nowS: number): string[] {
    return [...this.#added]
      .filter(([, addedS]) => nowS < addedS + this.#timeoutS)
      .map(([line]) => line.replace(/\/32$/, ''))
      .sort();
  }

  /** The call that the datagram itself led to; calls before it are timeouts. */
  #ownCall(step: Step, bytes: Buffer): readonly string[] | undefined {
    const last = step.pf_calls.at(-1)?.split(' ');
    const isTimeout = last?.[0] === 'DEL' && (bytes[1] !== 2 || step.log_lines.at(-1)?.includes(' timeout '));
    return last === undefined || isTimeout ? undefined : last;
  }

  #referenceResult(step: Step, call: readonly string[] | undefined, bytes: Buffer, got: string): Result | string {
    if (call !== undefined) return done[call[0] as keyof typeof done];
    if (bytes.length < 64) return 'size';
    const line = step.log_lines.filter((text) => !text.includes(' timeout ')).at(-1);
    const refusal = logged.find(([pattern]) => line !== undefined && pattern.test(line));
    if (refusal !== undefined) return refusal[1];
    assert.ok(!this.vector.options.includes('-v'), 'a refusal without a reason');
    assert.ok(!['added', 'deleted', 'flushed'].includes(got), `${got}, where the reference did nothing`);
    return got;
  }

  #ours(step: Step, bytes: Buffer, call: readonly string[] | undefined, reference: Result | string): Result | string {
    const isOld = this.vector.server.endsWith('1.05');
    const differ = (name: Difference, result: Result | string) => {
      this.differences.add(name);
      return result;
    };
    if (bytes.length > 64) return differ('long datagram refused', 'size');
    if (call !== undefined && bytes[0] === 0) return differ('version 0 refused', 'version');
    if (call !== undefined && bytes[0] === 2 && bytes[1] !== 3 && bytes[3] === 0 && bytes.readUInt32BE(4) !== 0) {
      return differ('mask 0 refused', 'mask');
    }
    if (!step.server_alive)
      return differ('stays alive', call?.at(-1) === 'EINVAL' && bytes[3]! > 32 ? 'mask' : 'table');
    if (call !== undefined && this.#taken.has(markOf(bytes, this.vector))) return differ('replay refused', 'replay');
    const asked = { 1: 'added', 2: 'deleted', 3: 'flushed' }[bytes[1]!];
    if (asked === undefined) return reference;
    if (reference === 'digest' && bytes[0] === 1) {
      if (isSigned(bytes, this.vector, bytes[3]!)) return differ('version 1 signed as it stands', asked);
      if (isOld && isSigned(bytes, this.vector, 32)) return differ('version 1 signed as a host', asked);
    }
    if (isOld && reference === 'version' && bytes[0] === 2) return differ('version 2 taken', asked);
    const aheadS = bytes.readUInt32BE(40) - step.server_clock;
    if (isOld && reference === 'clock' && aheadS > 0 && aheadS <= 60) return differ('clock ahead taken', asked);
    return reference;
  }

  /** As the reference would have called pf, where it didn't. */
  #askedCall(bytes: Buffer): readonly string[] {
    const table = optionValue(this.vector.options, '-f') ?? bytes.toString('latin1', 8, 40).replace(/\0.*$/s, '');
    const length = bytes[0] === 1 ? 32 : bytes[3]!;
    const value = bytes.readUInt32BE(4) & (length === 0 ? 0 : -1 << (32 - length));
    const address = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
    return [commands[bytes[1]!]!, table, `${address}/${length}`, 'OK'];
  }

  #apply(result: Result, [, table, prefix]: readonly string[], nowS: number): void {
    const entry = `${table} ${prefix}`;
    if (result === 'added') this.#added.set(entry, nowS);
    else if (result === 'deleted') this.#added.delete(entry);
    else for (const line of this.#added.keys()) if (line.startsWith(`${table} `)) this.#added.delete(line);
  }

  /** The reference lets go of an entry that, added again, has time left with us. */
  #expire(timeouts: readonly string[], nowS: number): void {
    for (const call of timeouts) {
      const [, table, prefix] = call.split(' ');
      const addedS = this.#added.get(`${table} ${prefix}`);
      if (addedS !== undefined && nowS < addedS + this.#timeoutS && addedS !== nowS) {
        this.differences.add('timeout extended');
      }
    }
  }
}

/** The same for all copies of a request: what is signed, or all but the digest where nobody looks at it. */
function markOf(bytes: Buffer, { options }: ServerVector): string {
  return options.includes('-k') ? bytes.toString('hex', 44, 64) : bytes.toString('hex', 0, 44);
}

/** Does the digest fit when byte 3 is this? */
function isSigned(bytes: Buffer, { key_hex }: ServerVector, byte3: number): boolean {
  const signed = Buffer.from(bytes.subarray(0, 44));
  signed[3] = byte3;
  const digest = createHmac('sha1', Buffer.from(key_hex ?? '', 'hex').subarray(0, 20))
    .update(signed)
    .digest('hex');
  return digest === bytes.toString('hex', 44, 64);
}
