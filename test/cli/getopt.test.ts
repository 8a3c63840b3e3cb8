import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { getopt } from '../../src/cli/getopt.js';

function read(argv: readonly string[], permute = true) {
  const steps = getopt(argv, 'hk:s', permute);
  const seen: string[] = [];
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return [...seen, ...step.value.map((word) => `<${word}>`)].join(' ');
    const { value } = step;
    seen.push(
      'error' in value ? `(${value.error})` : `${value.option}${value.value === undefined ? '' : `=${value.value}`}`,
    );
  }
}

test('options are found wherever they stand, alone, in clusters, and with their value attached', () => {
  const cases: readonly (readonly [string[], string])[] = [
    [[], ''],
    [['a', '-h', 'b', '-k', 'x', 'c'], 'h k=x <a> <b> <c>'],
    [['-hskx', 'a'], 'h s k=x <a>'],
    [['-hk', 'x'], 'h k=x'],
    [['-k', '-h'], 'k=-h'],
    [['-k', '--', 'a'], 'k=-- <a>'],
    [['a', '--', '-h', '--'], '<a> <-h> <-->'],
    [['-', '-h'], 'h <->'],
    [['-kx', '-ky'], 'k=x k=y'],
    [['-x', '-h'], "(invalid option -- 'x') h"],
    [['-hxs'], "h (invalid option -- 'x') s"],
    [['-:'], "(invalid option -- ':')"],
    [['a', '-k'], "(option requires an argument -- 'k') <a>"],
    [['-k', ''], 'k='],
  ];
  for (const [argv, expected] of cases) assert.equal(read(argv), expected, argv.join(' '));
});

test('without permutation the first operand ends the options', () => {
  assert.equal(read(['-h', 'a', '-s'], false), 'h <a> <-s>');
});

test("long options are clusters whose first letter is '-', as getopt has them", () => {
  assert.equal(read(['--hs']), "(invalid option -- '-') h s");
});

test('a shell that has getopts agrees on clusters and values', () => {
  const script = `while getopts hk:s option; do
    printf '%s' "$option"; [ "$option" = k ] && printf '=%s' "$OPTARG"; printf ' '
  done; shift $((OPTIND-1)); printf '<%s> ' "$@"`;
  for (const argv of [
    ['-h', '-s', 'a'],
    ['-hsk', 'x', 'a', 'b'],
    ['-kx', '-h', '--', '-s'],
  ]) {
    const { stdout } = spawnSync('sh', ['-c', script, 'sh', ...argv], { encoding: 'utf8' });
    assert.equal(stdout.trim(), read(argv, false));
  }
});
