import type { Plan } from '../compiler/plan.js';
import { refuseUnknownCountries } from '../engine/countries.js';
import { countryFiles } from '../services/geoip/source.js';
import { command } from './command.js';
import { defaultPolicy, placeOptions } from './defaults.js';
import { compileText, readPolicyFile } from './policy-file.js';
import { warningsText } from './report.js';
import { counted } from './text.js';

export const check = command({
  summary: 'check a policy, and let the kernel check what it compiles to',
  args: '[FILE]',
  about: `The policy is ${defaultPolicy} if not given. Nothing is changed. All errors of the file are reported at once,
each with its line; the status is 3 when there are any.`,
  options: {
    'no-kernel': { type: 'boolean', help: 'only read and compile it; needs no root' },
    json: { type: 'boolean', help: 'print as JSON' },
    netns: placeOptions.netns,
  },
  async run({ values, args, io }) {
    const file = args[0] ?? defaultPolicy;
    const { plan } = compileText(readPolicyFile(file));
    refuseUnknownCountries(plan, countryFiles);
    const inKernel = values['no-kernel'] !== true;
    if (inKernel) await checkInKernel(plan, values.netns);
    if (values.json === true) await io.out(`${JSON.stringify({ file, kernel: inKernel, warnings: plan.warnings })}\n`);
    else {
      io.err(warningsText(plan.warnings));
      await io.out(`${file}: ${summary(plan)}${inKernel ? '' : ', not checked by the kernel'}\n`);
    }
    return 0;
  },
});

/** As if nothing of ours were loaded: what is there doesn't decide whether a policy is right. */
async function checkInKernel(plan: Plan, netns: string | undefined): Promise<void> {
  const { openKernel } = await import('../kernel/open.js');
  const kernel = await openKernel(netns === undefined ? {} : { netns });
  try {
    await kernel.check(plan, undefined);
  } finally {
    await kernel.close();
  }
}

function summary({ ruleset, tables, accounts }: Plan): string {
  const chains = ruleset.tables.flatMap((table) => table.chains);
  const rules = chains.reduce((count, chain) => count + chain.rules.length, 0);
  return `good: ${counted(rules, 'rule')}, ${counted(tables.length, 'table')}, ${counted(accounts.length, 'account')}`;
}
