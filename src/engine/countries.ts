/**
 * The sets of countries, filled from the country files: before the rules that look into them are in force, and again
 * when the files have changed. A set is written whole, in one transaction: half a country would be another one.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Manifest, Plan, SetRole } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import { type GeoipSpec, geoipDuty } from '../extensions/geoip-names.js';
import type { BulkContents, ElementChange, Kernel, SetIndex } from '../kernel/kernel.js';
import { addressBits } from '../net/address.js';
import type { PackedRanges } from '../net/packed-ranges.js';
import type { NftSet } from '../nft/model.js';
import type { Presence } from '../nft/presence.js';
import type { DiagnosticJson } from '../policy/diagnostics.js';
import type { Clock } from './clock.js';
import type { Gate } from './gate.js';
import { Periodic } from './periodic.js';
import { setNames } from './policy-tables.js';

type CountriesRole = Extract<SetRole, { kind: 'countries' }>;

/** Where the ranges come from. */
export interface CountrySource {
  /** Changes whenever the ranges of the country do; undefined: there is no such country. */
  stamp(database: string, country: string): string | undefined;
  /** All ranges of these countries, merged. @throws PosternError `damaged`, `system`. */
  ranges(database: string, role: CountriesRole): Promise<PackedRanges>;
}

export interface CountriesOptions {
  readonly kernel: Pick<Kernel, 'change'>;
  readonly gate: Gate;
  readonly clock: Clock;
  /** Absent: the sets stay empty. */
  readonly source: CountrySource | undefined;
  readonly trouble: (error: unknown) => void;
}

interface CountrySet {
  readonly set: SetIndex;
  readonly path: string;
  readonly role: CountriesRole;
  /** Sets of addresses of which rules have found what these countries are to them. */
  readonly known: readonly SetIndex[];
}

/** What a plan asks for. */
interface Wanted {
  readonly database: string;
  readonly sets: readonly CountrySet[];
}

/** How soon a changed file is noticed. */
const watchMs = 2_000;

export class Countries {
  #wanted: Wanted | undefined;
  /** What stands in the kernel's sets, by path: the stamps of their files. */
  readonly #written = new Map<string, string>();
  readonly #watch: Periodic;

  constructor(private readonly options: CountriesOptions) {
    this.#watch = new Periodic(options.clock, watchMs, () => this.update(), options.trouble);
  }

  start(): void {
    if (this.options.source !== undefined) this.#watch.start();
  }

  async stop(): Promise<void> {
    await this.#watch.stop();
  }

  /**
   * Elements for the sets that a load will make.
   * @throws PosternError `policy` at the rule that names a country without files.
   */
  async prepare(plan: Plan, presence: Presence): Promise<BulkContents> {
    const wanted = this.#wantedBy(plan);
    const filled = new Map<SetIndex, () => Promise<Iterable<ElementChange>>>();
    if (wanted === undefined) return filled;
    refuseUnknownCountries(plan, this.options.source!);
    for (const one of wanted.sets) {
      if (presence.sets.has(one.path)) continue;
      filled.set(one.set, () => {
        // Before: files that change while they are read are read once more.
        this.#written.set(one.path, this.#stamp(wanted.database, one.role));
        return this.#elements(wanted.database, one);
      });
    }
    return filled;
  }

  /** From now on the plan's indexes hold. */
  switch(plan: Plan): void {
    this.#wanted = this.#wantedBy(plan);
    const paths = new Set(this.#wanted?.sets.map(({ path }) => path));
    for (const path of this.#written.keys()) if (!paths.has(path)) this.#written.delete(path);
  }

  /** Writes the sets anew whose files have changed since, and those of which it isn't known what they hold. */
  async update(): Promise<void> {
    const sets = this.#wanted?.sets ?? [];
    for (const { path } of sets) {
      await this.options.gate.pass(async () => {
        const { database, sets: now = [] } = this.#wanted ?? { database: '' };
        const one = now.find((candidate) => candidate.path === path);
        if (one !== undefined) await this.#rewrite(database, one);
      });
    }
  }

  /** Somebody else has changed the sets: what they hold isn't known any more. */
  forget(): void {
    this.#written.clear();
  }

  async #rewrite(database: string, one: CountrySet): Promise<void> {
    const stamp = this.#stamp(database, one.role);
    // Files that are missing now were there: whoever builds them anew isn't ready yet.
    if (this.#written.get(one.path) === stamp || stamp.includes(missing)) return;
    const adds = await this.#elements(database, one);
    await this.options.kernel.change([{ op: 'flush', set: one.set }, ...adds], { bulk: true });
    // Not before: packets that still meet the old ranges would be known by them.
    if (one.known.length > 0) await this.options.kernel.change(one.known.map((set) => ({ op: 'flush', set })));
    this.#written.set(one.path, stamp);
  }

  #wantedBy({ manifest, duties }: Pick<Plan, 'manifest' | 'duties'>): Wanted | undefined {
    const database = databaseOf(duties);
    if (database === undefined || this.options.source === undefined) return undefined;
    return { database, sets: countrySets(manifest) };
  }

  #stamp(database: string, { countries }: CountriesRole): string {
    const { source } = this.options;
    return [database, ...countries.map((country) => source?.stamp(database, country) ?? missing)].join('\n');
  }

  async #elements(database: string, { set, role }: CountrySet): Promise<Iterable<ElementChange>> {
    return additions(await this.options.source!.ranges(database, role), set);
  }
}

/** Made when they are asked for: half a million at a time are a burden on the memory's collector. */
function* additions(ranges: PackedRanges, set: SetIndex): Iterable<ElementChange> {
  const { buffer, byteOffset, length } = ranges.records();
  const size = addressBits(ranges.family) / 8;
  // `subarray` takes twice as long as a view, which half a million ranges make a million of.
  const at = (byte: number): Uint8Array => new Uint8Array(buffer, byteOffset + byte, size);
  for (let byte = 0; byte < length; byte += 2 * size) yield { op: 'add', set, key: at(byte), keyEnd: at(byte + size) };
}

const missing = 'missing';

function countrySets(manifest: Manifest): CountrySet[] {
  const names = setNames(manifest);
  const all = manifest.sets.flatMap(({ role }, set) => (role.kind === 'countries' ? [{ set, role }] : []));
  const remembering = all.filter(({ role }) => role.known !== undefined);
  return all.flatMap(({ set, role }): CountrySet[] => {
    if (role.known !== undefined) return [];
    const known = remembering.filter(({ role: { known, ...of } }) => isDeepStrictEqual(of, { ...role }));
    return [{ set, role, path: names[set]!, known: known.map((one) => one.set) }];
  });
}

const databaseOf = (duties: Plan['duties']): string | undefined =>
  (duties.find(({ kind }) => kind === geoipDuty)?.spec as GeoipSpec | undefined)?.database;

/**
 * Holds the countries that a policy names against the database.
 * @throws PosternError `policy` with all that aren't there, each at the first rule that looks into them; its details are
 *   diagnostics as JSON.
 */
export function refuseUnknownCountries({ ruleset, manifest, duties }: Plan, source: CountrySource): void {
  const database = databaseOf(duties);
  if (database === undefined) return;
  const origins = new Map<string, NftSet['origin']>(
    ruleset.tables.flatMap(({ family, name, sets }) =>
      sets.map((set) => [`${family} ${name} ${set.name}`, set.origin] as const),
    ),
  );
  const found = new Map<string, DiagnosticJson>();
  for (const { role, path } of countrySets(manifest)) {
    for (const country of role.countries) {
      const at = origins.get(path);
      if (at === undefined || source.stamp(database, country) !== undefined) continue;
      const message = `there is no country ${country} in ${database}`;
      const { file, line, column } = at;
      const told = { severity: 'error', file, line, column, message, hint } as const;
      found.set(`${line}:${column} ${country}`, told);
    }
  }
  const details = [...found.values()];
  const [first] = details;
  if (first === undefined) return;
  throw new PosternError('policy', `${first.file}:${first.line}:${first.column}: ${first.message}; ${hint}`, {
    details,
  });
}

const hint = 'make its files with "postern geoip build", or name their folder with "geoip: { database: FOLDER }"';
