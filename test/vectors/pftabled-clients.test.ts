import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { pftabledClient } from '../../src/cli/pftabled-client.js';
import { verifyPftabled } from '../../src/services/pftabled/verify.js';
import { pftabledKey } from '../../src/wire/pftabled.js';
import { testVectors, type Vector } from './vectors.js';

interface ClientVector extends Vector {
  readonly client: string;
  readonly argv: readonly string[];
  readonly unix_time: number;
  readonly key_file: string | null;
  readonly key_file_hex: string | null;
  readonly literal_key?: string | null;
  readonly exit_code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly datagram_hex: string | null;
  readonly decoded: {
    readonly version: number;
    readonly command: number;
    readonly netmask: number;
    readonly address_hex: string;
    readonly table_hex: string;
    readonly digest_hex: string;
  } | null;
}

const differences = {
  'program of another language':
    'only the C client of 1.09 is replaced; of the others nothing but datagrams concerns us',
};

const sinkPort = 36_945;

testVectors<ClientVector, keyof typeof differences>('pftabled-clients', differences, async (vector, all) => {
  const isOurs = vector.client.startsWith('pftabled-client.c 1.09');
  if (isOurs) await checkClient(vector, all);
  if (vector.datagram_hex !== null) checkVerdict(vector, Buffer.from(vector.datagram_hex, 'hex'));
  return isOurs || vector.datagram_hex !== null ? [] : ['program of another language'];
});

async function checkClient(vector: ClientVector, all: readonly ClientVector[]): Promise<void> {
  const files = new Map(all.map(({ key_file, key_file_hex }) => [key_file, key_file_hex]));
  const argv = vector.argv.map((word) => (word === '<PORT>' ? String(sinkPort) : word));
  const outcome = await pftabledClient(argv, {
    async readKey(path) {
      const hex = files.get(path);
      const bytes = Buffer.from(hex ?? '', 'hex');
      return bytes.length < 20 ? undefined : pftabledKey(bytes);
    },
    resolve: async (host) => (host === 'localhost' || host === '127.0.0.1' ? '127.0.0.1' : undefined),
    unixTime: () => vector.unix_time,
    env: {},
  });
  assert.equal(vector.stdout, '');
  if ('stderr' in outcome) {
    // getopt names the program by the path it was called with.
    assert.equal(outcome.stderr, vector.stderr.replace(/^\S*\/(?=pftabled-client: )/, ''));
    assert.equal(vector.exit_code, 1);
    assert.equal(vector.datagram_hex, null);
  } else {
    assert.equal(outcome.send.toString('hex'), vector.datagram_hex);
    assert.equal(outcome.address, '127.0.0.1');
    if (vector.argv.includes('<PORT>')) assert.equal(outcome.port, sinkPort);
    assert.deepEqual([vector.exit_code, vector.stderr], [0, '']);
  }
}

/** What a receiver with the client's key has to make of the datagram, from the fields as the vector has them. */
function checkVerdict(vector: ClientVector, datagram: Buffer): void {
  const { decoded } = vector;
  const table = decoded === null ? '' : textUpToNul(decoded.table_hex);
  const nowMs = vector.unix_time * 1000;
  const key = serverKey(vector);
  const rules = {
    tables: new Set(table.length > 0 && table.length < 32 ? [table] : []),
    ...(key === undefined ? {} : { key: pftabledKey(key) }),
  };
  const verdict = verifyPftabled(datagram, nowMs, rules);
  const expected = expectedVerdict(vector, table);
  if (typeof expected === 'string') {
    assert.equal(verdict, expected);
    return;
  }
  assert.ok(typeof verdict === 'object', `refused: ${String(verdict)}`);
  const { command, prefix } = verdict;
  assert.deepEqual({ command, table: verdict.table, prefix }, expected);
  const otherKey = pftabledKey(Buffer.alloc(20, 0x5a));
  assert.equal(verifyPftabled(datagram, nowMs, { ...rules, key: otherKey }), 'digest');
  assert.equal(verifyPftabled(datagram, nowMs + 61_000, rules), 'clock');
}

function expectedVerdict({ decoded, datagram_hex, ...vector }: ClientVector, table: string) {
  if (decoded === null || datagram_hex?.length !== 128) return 'size';
  const keyFits = (vector.literal_key ?? '').length <= 20 || (vector.literal_key ?? '').length > 64;
  if (!keyFits) return 'digest';
  const command = (['add', 'delete', 'flush'] as const)[decoded.command - 1];
  if (command === undefined) return 'command';
  if (table.length === 0 || table.length > 31) return 'table';
  if (command === 'flush') return { command, table, prefix: undefined };
  const length = decoded.version === 1 ? 32 : decoded.netmask;
  const address = BigInt(`0x${decoded.address_hex}`);
  if (length > 32 || (length === 0 && address !== 0n)) return 'mask';
  const value = (address >> BigInt(32 - length)) << BigInt(32 - length);
  return { command, table, prefix: { family: 4, value, length } };
}

/** The 20 bytes with which a server takes what this client signs; undefined for a datagram that isn't signed. */
function serverKey({ client, key_file_hex, literal_key, decoded }: ClientVector): Buffer | undefined {
  const isC = client.includes('.c ');
  if (isC && (!key_file_hex || /^0*$/.test(decoded?.digest_hex ?? ''))) return undefined;
  const key = Buffer.from(key_file_hex ?? '', 'hex').subarray(0, 20);
  const literal = Buffer.from(literal_key ?? '');
  // HMAC hashes a key that is longer than a block, and pads one that is shorter with zeros; none is an empty one.
  const block = literal.length > 64 ? createHash('sha1').update(literal).digest() : literal;
  return Buffer.concat([key, block, Buffer.alloc(20)]).subarray(0, 20);
}

function textUpToNul(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1').replace(/\0.*$/s, '');
}
