// Bundles what people wait for: one file starts in half the time of its modules. They stand beside what the compiler made.
//   cli/postern.cjs            the commands that ask the daemon; everything else is loaded by it from the modules
//   cli/direct-why.cjs         `why` without a daemon
//   kernel/scratch/thread.cjs  the thread of a scratch host
import { chmodSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';

const common = {
  bundle: true,
  packages: 'external',
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  minify: true,
  logLevel: 'warning',
};

/**
 * The module that `why` loads without a daemon is that bundle, and it is required: a program that has no other use for the
 * loader of ES modules starts without it.
 */
const directWhy = {
  name: 'direct-why',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/cli\/why\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(
        "import('./direct-why.js')",
        "Promise.resolve(require('./direct-why.cjs'))",
      ),
    })),
};

/** Threads are found from where their modules are, which in a bundle is another folder. */
const ownPlaces = (folder) => ({
  name: 'own-places',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/dist\/src\/kernel\/.*\.js$/ }, ({ path }) => {
      const place = JSON.stringify(`/${relative(folder, path)}`);
      const url = `require('node:url').pathToFileURL(__dirname + ${place}).href`;
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url) };
    }),
});

/** Sixty modules of a package that would take longer to load than all of ours, with its license. */
const inlined = (root) => {
  const folder = join(root, 'node_modules', 'yaml');
  return {
    // Its modules for Node are CommonJS, which nothing can be left out of.
    plugin: {
      name: 'inlined',
      setup: ({ onResolve }) =>
        onResolve({ filter: /^yaml$/ }, () => ({ path: join(folder, 'browser', 'dist', 'index.js') })),
    },
    banner: `/*! yaml\n${readFileSync(join(folder, 'LICENSE'), 'utf8')}*/`,
  };
};

/** @param {string} root the repository */
export async function bundle(root) {
  const cli = join(root, 'dist', 'src', 'cli');
  const scratch = join(root, 'dist', 'src', 'kernel', 'scratch');
  const program = join(cli, 'postern.cjs');
  const yaml = inlined(root);
  await Promise.all([
    build({
      ...common,
      entryPoints: [join(cli, 'postern.js')],
      outfile: program,
      external: ['./direct-why.cjs', './main.js', './policy-file.js', '../services/*'],
      plugins: [directWhy, ownPlaces(cli)],
    }),
    build({
      ...common,
      entryPoints: [join(cli, 'direct-why.js')],
      outfile: join(cli, 'direct-why.cjs'),
      plugins: [yaml.plugin, ownPlaces(cli)],
      banner: { js: yaml.banner },
    }),
    build({
      ...common,
      entryPoints: [join(scratch, 'worker.js')],
      outfile: join(scratch, 'thread.cjs'),
    }),
  ]);
  chmodSync(program, 0o755);
}
