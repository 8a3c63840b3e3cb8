import { PosternError } from '../errors.js';
import { tableName } from '../nft/render.js';
import { daemonAnswers, daemonOf, daemonOptions } from './client.js';
import { command } from './command.js';
import { placeOptions } from './defaults.js';
import { ownTables } from './own-tables.js';
import { counted } from './text.js';

export const down = command({
  summary: 'remove everything of Postern from the kernel',
  about: `Packets are no longer filtered, translated, counted or banned by Postern; tables of others stay as they are. The
daemon must not run. What it keeps on disk stays: 'postern run' and 'postern apply' bring everything back.`,
  options: {
    yes: { type: 'boolean', help: 'do it; without it nothing is done' },
    json: { type: 'boolean', help: 'print as JSON' },
    netns: placeOptions.netns,
    ...daemonOptions,
  },
  async run({ values, io }) {
    const daemon = daemonOf({ values, io });
    if (await daemonAnswers(daemon)) {
      throw new PosternError(
        'conflict',
        `the daemon at ${daemon.socket} runs and would put everything back: stop it first`,
      );
    }
    const { openNft } = await import('../kernel/nft.js');
    const nft = openNft(values.netns === undefined ? {} : { netns: values.netns });
    const names = (await ownTables(nft)).map(tableName);
    if (names.length > 0 && values.yes !== true) {
      throw new PosternError('usage', `this opens the firewall: it deletes ${names.join(', ')}; give --yes to do it`);
    }
    if (names.length > 0) await nft.load(names.map((name) => ({ text: `delete table ${name}` })));
    await io.out(
      values.json === true ? `${JSON.stringify({ deleted: names })}\n` : `${counted(names.length, 'table')} deleted\n`,
    );
    return 0;
  },
});
