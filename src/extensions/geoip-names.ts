/** What the geoip rules and the daemon call the same things. */

/** Kind of the duty that names the database. */
export const geoipDuty = 'geoip';

export interface GeoipSpec {
  /** Folder of the country files. */
  readonly database: string;
}

/** Where xtables-addons keeps its country files. */
export const usualDatabase = '/usr/share/xt_geoip';
