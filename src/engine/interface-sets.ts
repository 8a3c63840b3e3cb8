/** The sets of `lan:network` and `lan:address`, and of devices' MACs and flags: kept as the host's devices are. */

import type { Manifest, SetRole } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { ElementChange, Kernel, SetIndex } from '../kernel/kernel.js';
import type { Link, LinkAddress, Links } from '../kernel/links.js';
import type { AddressRange, Family } from '../net/address.js';
import { formatRange, prefixOf, prefixRange } from '../net/prefix.js';
import { mergeRanges } from '../net/ranges.js';
import type { Element } from '../nft/model.js';
import type { Presence } from '../nft/presence.js';
import type { Contents } from '../nft/transaction.js';
import type { Committer } from '../store/committer.js';
import { type DeviceFlagsRole, flagChanges, flagElements, flaggedDevices } from './device-flags.js';
import { type DeviceMacsRole, deviceMacs, macChanges, macElements, missingDevices } from './device-macs.js';
import { addElement, deleteElement, elementRange, rangeExpression, type Tier } from './entries/element.js';
import type { Gate } from './gate.js';
import { setNames } from './policy-tables.js';

type InterfaceRole = Extract<SetRole, { kind: 'interface' }>;
export type OpenLinks = (changed: () => void) => Promise<Pick<Links, 'current' | 'close'>>;

export interface InterfaceSetsOptions {
  readonly kernel: Pick<Kernel, 'dump'>;
  readonly committer: Committer;
  readonly gate: Gate;
  /** Absent: the sets stay empty. */
  readonly openLinks: OpenLinks | undefined;
  readonly trouble: (error: unknown) => void;
}

interface InterfaceSet {
  readonly set: SetIndex;
  readonly role: InterfaceRole;
  readonly size: number;
}

interface MacSet {
  readonly set: SetIndex;
  readonly role: DeviceMacsRole;
  /** What was written last, to write only what is new. */
  written: string;
}

interface FlagSet {
  readonly set: SetIndex;
  readonly role: DeviceFlagsRole;
}

export class InterfaceSets {
  #links: Awaited<ReturnType<OpenLinks>> | undefined;
  #sets: readonly InterfaceSet[] = [];
  #macs: readonly MacSet[] = [];
  #flags: readonly FlagSet[] = [];
  /** Devices whose absence was told. */
  #missing: readonly string[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor(private readonly options: InterfaceSetsOptions) {}

  /** @throws PosternError `system`, `not-found`. */
  async start(): Promise<void> {
    this.#links = await this.options.openLinks?.(() => void this.update());
  }

  async stop(): Promise<void> {
    this.#links?.close();
    await this.#turn;
  }

  /** From now on the manifest's indexes hold. */
  switch(manifest: Pick<Manifest, 'sets'>): void {
    this.#sets = manifest.sets.flatMap(({ role, size }, set) =>
      role.kind === 'interface' ? [{ set, role, size }] : [],
    );
    this.#flags = manifest.sets.flatMap(({ role }, set) => (role.kind === 'device-flags' ? [{ set, role }] : []));
    this.#macs = manifest.sets.flatMap(({ role }, set) =>
      role.kind === 'device-macs' ? [{ set, role, written: '' }] : [],
    );
  }

  /** Contents for sets that aren't in the kernel yet. */
  contents(manifest: Pick<Manifest, 'sets' | 'tables'>, presence: Presence): Contents {
    const contents = new Map<string, Element[]>();
    for (const [index, name] of setNames(manifest).entries()) {
      const { role, size } = manifest.sets[index]!;
      if (presence.sets.has(name)) continue;
      if (role.kind === 'device-macs') contents.set(name, macElements(deviceMacs(role, this.#now())));
      if (role.kind === 'device-flags') contents.set(name, flagElements(flaggedDevices(role, this.#now())));
      if (role.kind !== 'interface') continue;
      const ranges = this.#wanted({ set: index, role, size });
      if (ranges.length > 0)
        contents.set(
          name,
          ranges.map((range) => ({ value: rangeExpression(range) })),
        );
    }
    return contents;
  }

  /** Brings all sets to what the devices have now. Failures are told, not thrown. */
  update(): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.options.gate.pass(() => this.#update()))
      .catch((error: unknown) => this.options.trouble(error));
    return this.#turn;
  }

  async #update(): Promise<void> {
    const { kernel, committer } = this.options;
    if (this.#links === undefined) return;
    await this.#updateFlags();
    for (const macs of this.#macs) await this.#updateMacs(macs);
    this.#tellMissing();
    for (const interfaceSet of this.#sets) {
      const { set, role } = interfaceSet;
      const tier: Tier = role.part === 'network' ? 'prefixes' : 'hosts';
      const found = new Map((await kernel.dump(set)).map((element) => [formatRange(elementRange(element)), element]));
      const adds: ElementChange[] = [];
      for (const range of this.#wanted(interfaceSet)) {
        if (found.delete(formatRange(range))) continue;
        const change = addElement(set, role.family, tier, { ...range, until: Number.POSITIVE_INFINITY }, 0);
        if (change !== undefined) adds.push(change);
      }
      const deletes = Array.from(found.values(), (element) =>
        deleteElement(set, role.family, tier, { ...elementRange(element), until: 0 }),
      );
      if (deletes.length + adds.length > 0) await committer.commit([], [...deletes, ...adds]);
    }
  }

  /** First of all, and in one transaction: rules wait for it. */
  async #updateFlags(): Promise<void> {
    const { kernel, committer } = this.options;
    const changes: ElementChange[] = [];
    for (const { set, role } of this.#flags)
      changes.push(...flagChanges(set, role, flaggedDevices(role, this.#now()), await kernel.dump(set)));
    if (changes.length > 0) await committer.commit([], changes);
  }

  async #updateMacs(macs: MacSet): Promise<void> {
    const wanted = deviceMacs(macs.role, this.#now());
    const text = JSON.stringify(macElements(wanted));
    const held = (await this.options.kernel.dump(macs.set)).length;
    if (text === macs.written && held === wanted.size) return;
    await this.options.committer.commit([], macChanges(macs.set, wanted));
    macs.written = text;
  }

  #tellMissing(): void {
    const missing = this.missing();
    for (const device of missing) {
      if (this.#missing.includes(device)) continue;
      const message = `${device} isn't there or has no MAC: nothing is answered at its ingress until it has`;
      this.options.trouble(new PosternError('not-found', message));
    }
    this.#missing = missing;
  }

  /** Devices that traps at ingress are for, and that are not there. */
  missing(): readonly string[] {
    if (this.#links === undefined) return [];
    return [...new Set(this.#macs.flatMap(({ role }) => missingDevices(role, this.#now())))];
  }

  #now(): ReadonlyMap<string, Link> {
    return this.#links?.current() ?? new Map();
  }

  #wanted({ role, size }: InterfaceSet): AddressRange[] {
    const ranges = interfaceRanges(this.#links?.current().get(role.device), role);
    if (ranges.length > size) {
      const { device, part, family } = role;
      this.options.trouble(
        new PosternError(
          'full',
          `${device}:${part} has ${ranges.length} of IPv${family}, more than the ${size} that fit`,
        ),
      );
    }
    return ranges.slice(0, size);
  }
}

/** What a device means for its set; nothing when there is no such device. */
function interfaceRanges(
  link: Pick<Link, 'addresses'> | undefined,
  { part, family }: Pick<InterfaceRole, 'part' | 'family'>,
): AddressRange[] {
  const addresses = link?.addresses.filter(({ address }) => address.family === family) ?? [];
  if (part === 'network') return mergeRanges(addresses.map(networkOf));
  const own = addresses.filter(({ usable }) => usable).map(({ address }) => single(family, address.value));
  return [...new Map(own.map((range) => [range.first, range])).values()];
}

function networkOf({ address, peer, prefixLength }: LinkAddress): AddressRange {
  return prefixRange(prefixOf(peer ?? address, prefixLength));
}

function single(family: Family, value: bigint): AddressRange {
  return { family, first: value, last: value };
}
