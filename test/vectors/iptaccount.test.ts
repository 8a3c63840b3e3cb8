import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type AccountKernel, type AccountLine, iptaccount } from '../../src/cli/iptaccount-program.js';
import { testVectors, type Vector } from './vectors.js';

interface IptaccountVector extends Vector {
  readonly tool: string;
  readonly argv: readonly string[];
  readonly kernel_state: Readonly<Record<string, string>>;
  readonly exit_code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const differences = {
  'wording of 3.27': 'the usage text was reworded between 1.32 and 3.27; ours is the later one',
  '64-bit counters': 'the counters of 1.32 wrap at 32 bits; ours are those of 3.27',
};

const knownState = new Set(['A_NAMES', 'A_DATA', 'A_INITFAIL']);
const openingFailed = "Can't open socket to kernel. Permission denied or ipt_ACCOUNT module not loaded";

testVectors<IptaccountVector, keyof typeof differences>('iptaccount', differences, async (vector) => {
  const isOld = / 1\.\d+/.test(vector.tool);
  assert.deepEqual(
    Object.keys(vector.kernel_state).filter((key) => !knownState.has(key)),
    [],
    'a state of the kernel that this test knows nothing of',
  );
  const seen = await run(vector);
  assert.equal(seen.status, vector.exit_code);
  assert.equal(seen.stderr, vector.stderr);
  if (isOld && vector.stdout.includes('Unknown command line option')) {
    const reworded = vector.stdout.replace('command line option', 'command-line option').replace('CTRL+C', 'Ctrl+C');
    assert.equal(seen.stdout, reworded);
    return ['wording of 3.27'];
  }
  if (isOld && linesOf(vector.kernel_state.A_DATA ?? '').some(isBeyond32Bits)) {
    assert.equal(seen.stdout.split('\n').length, vector.stdout.split('\n').length);
    return ['64-bit counters'];
  }
  assert.equal(seen.stdout, vector.stdout);
  return [];
});

interface GoldenCall {
  readonly cmd: string;
  readonly rc: number;
  readonly stdout: string;
  readonly stderr: string;
}

const goldenFile = new URL('../../../test/vectors/golden/account.json', import.meta.url);

test('iptaccount prints what it printed over the real kernel module, for every command line', async (t) => {
  const { cli } = JSON.parse(readFileSync(goldenFile, 'utf8')) as { cli: readonly GoldenCall[] };
  // Pipes are the shell's; `timeout` sends the Ctrl+C that ends -c.
  const calls = cli.filter(({ cmd }) => /^(timeout -s INT \d+ )?iptaccount\b/.test(cmd) && !cmd.includes('|'));
  assert.ok(calls.length > 0);
  for (const { cmd, stdout, stderr } of calls) {
    const argv = cmd
      .replace(/^.*?iptaccount */, '')
      .split(' ')
      .filter((word) => word !== '');
    const rounds = roundsOf(stdout);
    const seen = await run(
      { argv, kernel_state: {} },
      { ...kernelOf({}), ...goldenKernel(stdout, rounds) },
      rounds.length,
    );
    const reworded = stdout.replace('command line option', 'command-line option').replace('CTRL+C', 'Ctrl+C');
    assert.deepEqual([seen.stdout, seen.stderr], [reworded, stderr], cmd);
  }
  t.diagnostic(`ran ${calls.length} command lines of ${cli.length}`);
});

const row = /^IP: (\S+) SRC packets: (\d+) bytes: (\d+) DST packets: (\d+) bytes: (\d+)$/gm;
const csvRow = /^([\d.]+);(\d+);(\d+);(\d+);(\d+)$/gm;

/** The rows of each reading, as the output tells them. In CSV a new one begins where the first address comes again. */
function roundsOf(stdout: string): AccountLine[][] {
  if (!stdout.includes('IP;SRC')) {
    const [, ...runs] = stdout.split(/^Run #.*$/m);
    return runs.map((run) => [...run.matchAll(row)].map(lineOf));
  }
  const rounds: AccountLine[][] = [];
  for (const line of [...stdout.matchAll(csvRow)].map(lineOf)) {
    if (rounds.length === 0 || rounds[0]![0]!.ip === line.ip) rounds.push([]);
    rounds.at(-1)!.push(line);
  }
  return rounds;
}

function lineOf([, ...cells]: readonly string[]): AccountLine {
  return linesOf(cells.join(' '))[0]!;
}

function goldenKernel(stdout: string, rounds: readonly AccountLine[][]): Partial<AccountKernel> {
  let round = 0;
  return {
    names: async () => [...stdout.matchAll(/^Found table: (.*)$/gm)].map(([, name]) => name!),
    read: async () => (stdout.includes('Read failed') ? undefined : rounds[round++]!),
  };
}

async function run(
  { argv, kernel_state }: Pick<IptaccountVector, 'argv' | 'kernel_state'>,
  kernel = kernelOf(kernel_state),
  rounds = 1,
) {
  let stdout = '';
  let stderr = '';
  let left = rounds;
  const status = await iptaccount(argv, kernel, {
    async out(text) {
      stdout += text;
    },
    err(text) {
      stderr += text;
    },
    nextSecond: async () => --left > 0,
  });
  return { status, stdout, stderr };
}

function kernelOf(state: Readonly<Record<string, string>>): AccountKernel {
  return {
    async open() {
      if (state.A_INITFAIL !== undefined) throw new Error(openingFailed);
    },
    handleUsage: async () => 0,
    async freeHandles() {},
    names: async () => (state.A_NAMES ?? '').split(',').filter((name) => name !== ''),
    read: async () => (state.A_DATA === undefined ? undefined : linesOf(state.A_DATA)),
  };
}

function isBeyond32Bits({ ip: _, ...counts }: AccountLine): boolean {
  return Object.values(counts).some((count) => count >= 1n << 32n);
}

function linesOf(data: string): AccountLine[] {
  return data
    .split(';')
    .filter((line) => line !== '')
    .map((line) => {
      const [ip, ...counts] = line.split(' ');
      const [sourcePackets, sourceBytes, destinationPackets, destinationBytes] = counts.map(BigInt);
      return {
        ip: ip!,
        sourcePackets: sourcePackets!,
        sourceBytes: sourceBytes!,
        destinationPackets: destinationPackets!,
        destinationBytes: destinationBytes!,
      };
    });
}
