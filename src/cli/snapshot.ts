import { PosternError } from '../errors.js';
import { parseDuration } from '../net/duration.js';
import { command } from './command.js';
import { placeOptions } from './defaults.js';
import { stateFolder } from './state/folder.js';
import { counted } from './text.js';

const defaultMinLeft = '1h';

export const snapshot = command({
  summary: 'write the ruleset in force and its lasting entries as an nft file, for the next boot',
  about: `The file needs nothing but nft: 'nft -f' replaces our tables by it in one transaction. A policy on trial is left
out: what was confirmed last is written. Loaded before the network comes up it closes the gap until the daemon runs, which takes
over what it finds. rules/systemd/ has units for that. Tables with backend ipset are written to a file of the same name with the
ending .ipset, for 'ipset restore -file FILE': load it before the iptables rules that refer to them.`,
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: "where to; '-' prints it; boot.nft in the state folder if not given",
    },
    'min-left': {
      type: 'string',
      value: 'TIME',
      help: `leave out entries that end sooner; ${defaultMinLeft} if not given`,
    },
    ...placeOptions,
  },
  async run({ values, io }) {
    const folder = stateFolder(values);
    const { bootText, ipsetPath, writeBootFiles } = await import('./boot-file.js');
    const minLeftMs = parseDuration(values['min-left'] ?? defaultMinLeft);
    const boot = await bootText({ folder, minLeftMs, netns: values.netns });
    const { text, ipsets, entries, policy } = boot;
    if (values.output === '-') {
      await io.out(text);
      return 0;
    }
    const path = values.output ?? `${folder}/boot.nft`;
    await writeBootFiles(path, boot).catch((cause: Error) => {
      throw new PosternError('system', `${path} can't be written: ${cause.message}`, { cause });
    });
    const files = ipsets === undefined ? path : `${path} and ${ipsetPath(path)}`;
    await io.out(`${files}: ${policy}, ${counted(entries, 'entry', 'entries')}\n`);
    return 0;
  },
});
