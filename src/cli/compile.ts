import { withEntries } from '../compiler/entries.js';
import { renderRuleset } from '../nft/render.js';
import { formatPosition } from '../policy/diagnostics.js';
import { command } from './command.js';
import { defaultPolicy } from './defaults.js';
import { compileText, readPolicyFile } from './policy-file.js';
import { warningsText } from './report.js';

export const compile = command({
  summary: 'print what a policy compiles to, as nft text',
  args: '[FILE]',
  about: `The policy is ${defaultPolicy} if not given. Nothing is read from or changed in the kernel.`,
  options: {
    explain: { type: 'boolean', short: 'e', help: 'print instead which recipe was chosen where, and why' },
    json: { type: 'boolean', help: 'print the ruleset, the manifest, the duties of the daemon and the notes as JSON' },
  },
  examples: [
    { command: 'postern compile rules/demo.yaml', what: 'pfctl -vnf, ipfw -n' },
    { command: 'postern compile --explain', what: 'one line for each decision of the compiler' },
  ],
  async run({ values, args, io }) {
    const { plan } = compileText(readPolicyFile(args[0] ?? defaultPolicy));
    if (values.json === true) await io.out(`${JSON.stringify(plan, plain)}\n`);
    else {
      io.err(warningsText(plan.warnings));
      if (values.explain !== true) await io.out(renderRuleset(withEntries(plan)));
      else await io.out(plan.notes.map(({ at, message }) => `${formatPosition(at)}: ${message}\n`).join(''));
    }
    return 0;
  },
});

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
