/** `postern geoip …`: the country files that rules with `geoip:` are loaded from. */

import type { CommandGroup } from './command.js';
import { build } from './geoip/build.js';
import { query } from './geoip/query.js';

export const geoip: CommandGroup = {
  summary: 'make the country files that geoip rules need, and ask them',
  about: `The files are those of xtables-addons: CC.iv4 and CC.iv6 for each country. A daemon whose policy names a
country loads its files when it starts, and again when they change.`,
  commands: { build, query },
};
