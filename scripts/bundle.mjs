// Bundles what people wait for: one file starts in half the time of its modules. They stand beside what the compiler made.
//   cli/postern.cjs            the commands that ask the daemon; everything else is loaded by it from the modules
//   cli/direct-why.mjs         `why` without a daemon
//   kernel/scratch/thread.mjs  the thread of a scratch host
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const common = {
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  minify: true,
  logLevel: 'warning',
};

/** The module that `why` loads without a daemon is that bundle. */
const directWhy = {
  name: 'direct-why',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\/direct-why\.js$/ }, () => ({ path: './direct-why.mjs', external: true })),
};

/** @param {string} root the repository */
export async function bundle(root) {
  const cli = join(root, 'dist', 'src', 'cli');
  const scratch = join(root, 'dist', 'src', 'kernel', 'scratch');
  const program = join(cli, 'postern.cjs');
  await Promise.all([
    build({
      ...common,
      entryPoints: [join(cli, 'postern.js')],
      outfile: program,
      format: 'cjs',
      external: ['./main.js', './policy-file.js', '../services/*'],
      plugins: [directWhy],
    }),
    build({
      ...common,
      entryPoints: [join(cli, 'direct-why.js')],
      outfile: join(cli, 'direct-why.mjs'),
      format: 'esm',
      // Threads are found from where their modules are.
      define: { 'import.meta.url': 'kernelFolder' },
      banner: { js: "const kernelFolder = new URL('../kernel/', import.meta.url).href;" },
    }),
    build({
      ...common,
      entryPoints: [join(scratch, 'worker.js')],
      outfile: join(scratch, 'thread.mjs'),
      format: 'esm',
    }),
  ]);
  chmodSync(program, 0o755);
}
