// Builds, lints, and runs the tests with Node's test runner.
//   npm test                              everything
//   npm test -- test/vectors test/x.test.ts   the files below or named by these paths
// Files in test/kernel/ make network namespaces of their own; two files run at a time.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function run(command, args) {
  const { status, signal } = spawnSync(command, args, { stdio: 'inherit', cwd: root });
  if (status !== 0) process.exit(signal ? 1 : (status ?? 1));
}

function testsBelow(path) {
  if (!existsSync(path)) {
    console.error(`test: no such file or folder: ${path}`);
    process.exit(1);
  }
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const inner = join(path, entry.name);
    return entry.isDirectory() ? testsBelow(inner) : entry.name.endsWith('.test.ts') ? [inner] : [];
  });
}

const wanted = process.argv.slice(2);
run(process.execPath, [join(root, 'scripts', 'build.mjs')]);
if (wanted.length === 0) run(join(root, 'node_modules', '.bin', 'biome'), ['check', '--error-on-warnings', '.']);

const sources = (wanted.length === 0 ? [join(root, 'test')] : wanted.map((path) => resolve(path)))
  .flatMap(testsBelow)
  .sort();
if (sources.length === 0) {
  console.error('test: no tests found');
  process.exit(1);
}
const compiled = sources.map((path) => join(root, 'dist', relative(root, path)).replace(/\.ts$/, '.js'));
run(process.execPath, ['--enable-source-maps', '--test', '--test-concurrency=2', '--test-reporter=spec', ...compiled]);
