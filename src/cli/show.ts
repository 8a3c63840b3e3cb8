import { PosternError } from '../errors.js';
import { type CommandGroup, command } from './command.js';
import { placeOptions } from './defaults.js';
import { ownTables } from './own-tables.js';

const rules = command({
  summary: 'show the rules that are loaded, as nft prints them',
  about: 'Only tables of Postern are shown, without the elements of their sets.',
  options: {
    counters: { type: 'boolean', short: 'c', help: 'with the packets and bytes that each rule saw' },
    netns: placeOptions.netns,
  },
  examples: [{ command: 'postern show rules --counters', what: 'as pfctl -vs rules or ipfw -a list' }],
  async run({ values, io }) {
    const { openNft } = await import('../kernel/nft.js');
    const nft = openNft(values.netns === undefined ? {} : { netns: values.netns });
    const tables = await ownTables(nft);
    if (tables.length === 0) throw new PosternError('not-found', "nothing of Postern is loaded: see 'postern apply'");
    for (const table of tables) await io.out(await nft.show(table, { counters: values.counters === true }));
    return 0;
  },
});

export const show: CommandGroup = {
  summary: 'show what is in the kernel',
  commands: { rules },
};
