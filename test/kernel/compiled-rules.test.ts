/** nft and the kernel take what the policies compile to, whole, in a namespace of its own. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compilePolicy } from '../../src/compiler/compile.js';
import { withEntries } from '../../src/compiler/entries.js';
import type { Extension } from '../../src/extensions/extension.js';
import { always, does } from '../../src/extensions/fragment.js';
import { renderRuleset } from '../../src/nft/render.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { handbookPolicies } from '../policy/handbook-policies.js';
import { laterWords } from '../policy/later-words.js';
import { namespace } from './namespace.js';

const folder = join(import.meta.dirname, '../../../rules');

test('the kernel takes the compiled text of every policy in rules/, and nft lists it again', async (t) => {
  const space = await namespace(t);
  // A copy is sent by a device that must be there.
  for (const [one, other] of [
    ['eth0', 'eth1'],
    ['eth2', 'eth3'],
  ] as const) {
    await space.run('ip', 'link', 'add', one, 'type', 'veth', 'peer', 'name', other);
  }
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.nft'))) {
    await t.test(name, async () => {
      await space.nft(readFileSync(join(folder, name), 'utf8'));
      // nft 1.0.6 ends by SIGABRT over listings of some of what it loads.
      await space.run('nft', '-j', 'list', 'ruleset');
      await space.nft('flush ruleset');
    });
  }
});

/** Words that extensions will bring mean nothing here: what the core makes of the rest is loaded. */
const later: Extension = {
  name: 'later',
  summary: 'Words without meaning.',
  matches: laterWords.matches.map((word) => ({ word, compile: () => always })),
  actions: laterWords.actions.map((word) => ({ word, compile: () => does() })),
  sections: laterWords.sections.map((word) => ({ word, compile: () => undefined })),
  parity: { original: 'none', runs: 'kernel', standing: 'exact', checked: 'not' },
};

test("the kernel takes what the handbook's policies compile to", async (t) => {
  const space = await namespace(t);
  for (const { title, text } of handbookPolicies) {
    await t.test(title, async () => {
      const { policy } = parsePolicy(text, {
        file: 'p.yaml',
        vocabulary: laterWords,
        readList: () => '# nobody\n',
        resolveOwner: (_, name) => (name === 'root' ? 0 : 65534),
      });
      const { plan, diagnostics } = compilePolicy(policy!, { extensions: [later] });
      if (plan === undefined) throw new Error(JSON.stringify(diagnostics));
      await space.nft(renderRuleset(withEntries(plan)));
      await space.nft('flush ruleset');
    });
  }
});
