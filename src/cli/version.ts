import { readFileSync } from 'node:fs';
import { command } from './command.js';

/** The version of this package. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

export const version = command({
  summary: 'print the version',
  options: { json: { type: 'boolean', help: 'print as JSON' } },
  async run({ values, io }) {
    const found = { postern: packageVersion(), node: process.versions.node };
    await io.out(
      values.json === true ? `${JSON.stringify(found)}\n` : `postern ${found.postern} (Node ${found.node})\n`,
    );
    return 0;
  },
});
