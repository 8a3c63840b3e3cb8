import { vocabulary } from '../extensions/registry.js';
import { policySchema } from '../policy/json-schema.js';
import { command } from './command.js';

export const schema = command({
  summary: 'print the JSON Schema of policies, for editors',
  about: `Save it and begin a policy with '# yaml-language-server: $schema=postern.schema.json': an editor with a YAML
language server then completes, explains and checks while you write.`,
  async run({ io }) {
    await io.out(`${JSON.stringify(policySchema(vocabulary), undefined, 2)}\n`);
    return 0;
  },
});
