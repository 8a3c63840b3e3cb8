// Makes dist/src/cli/postern.cjs of dist/src/cli/postern.js: one CommonJS file, which starts in half the time of its modules.
// Everything but a question to the daemon is loaded by it from where the compiler left it.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** @param {string} root the repository */
export async function bundle(root) {
  const folder = join(root, 'dist', 'src', 'cli');
  const outfile = join(folder, 'postern.cjs');
  await build({
    entryPoints: [join(folder, 'postern.js')],
    outfile,
    bundle: true,
    external: ['./main.js', './policy-file.js', '../services/*'],
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning',
  });
  chmodSync(outfile, 0o755);
}
