import { PosternError } from '../errors.js';
import { parityRows, parityText } from '../extensions/parity-text.js';
import { didYouMean } from '../policy/suggest.js';
import { command } from './command.js';

export const parity = command({
  summary: 'print how each extension compares with that of xtables-addons or pf',
  args: '[EXTENSION]',
  about: `Exact, differs (and how), or unavailable (and why); whether the kernel does it or the daemon; and how it was
checked. Nothing is read from or changed in the kernel.`,
  options: { json: { type: 'boolean', help: 'print it as JSON' } },
  examples: [
    { command: 'postern parity', what: 'iptables -m help, man xtables-addons' },
    { command: 'postern parity tarpit', what: 'one of them' },
  ],
  async run({ values, args, io }) {
    const rows = parityRows();
    const [wanted] = args;
    const shown = rows.filter(({ name }) => wanted === undefined || name.toLowerCase() === wanted.toLowerCase());
    if (wanted !== undefined && shown.length === 0) {
      const hint = didYouMean(
        wanted,
        rows.map(({ name }) => name),
      );
      throw new PosternError('not-found', `there is no extension ${wanted}${hint === undefined ? '' : `; ${hint}`}`);
    }
    await io.out(values.json === true ? `${JSON.stringify(shown, undefined, 2)}\n` : parityText(shown));
    return 0;
  },
});
