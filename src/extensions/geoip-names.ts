/** What the geoip rules and the daemon call the same things. */

import type { Family } from '../net/address.js';

/** Kind of the duty that names the database. */
export const geoipDuty = 'geoip';

export interface GeoipSpec {
  /** Folder of the country files. */
  readonly database: string;
}

/** How large countries are, where the policy is compiled. */
export interface CountrySizes {
  /** Ranges of a country; 0 for one that isn't there. */
  ranges(database: string, country: string, family: Family): number;
}

/** Where xtables-addons keeps its country files. */
export const usualDatabase = '/usr/share/xt_geoip';
