// Compiles src/ and test/ to dist/ when a source is newer than the last build, and drops outputs whose source is gone.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist', '.built');

function* filesBelow(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

const sources = ['src', 'test'].flatMap((folder) =>
  [...filesBelow(join(root, folder))].filter((path) => path.endsWith('.ts')),
);
const inputs = [
  ...sources,
  join(root, 'tsconfig.json'),
  join(root, 'package.json'),
  join(root, 'scripts', 'bundle.mjs'),
];
const outputs = ['src', 'test'].flatMap((folder) => [...filesBelow(join(root, 'dist', folder))]);
const orphans = outputs.filter((path) => {
  const source = path.replace(join(root, 'dist'), root).replace(/\.js(\.map)?$/, '.ts');
  return /\.js(\.map)?$/.test(path) && !existsSync(source);
});
for (const path of orphans) rmSync(path);

const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
if (inputs.every((path) => statSync(path).mtimeMs < builtAt)) process.exit(0);

const startedAt = new Date();
const tsc = spawnSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', root], { stdio: 'inherit' });
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
await bundle(root);
writeFileSync(stamp, startedAt.toISOString());
