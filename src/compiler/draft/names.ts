/** Names of generated objects: readable, never a keyword (each has a prefix), never two things under one name. */

import { createHash } from 'node:crypto';
import type { ObjectRole, SetRole } from '../../extensions/roles.js';

/** What of a user's name can stand in an nft name. */
export const nameable = (text: string): string => text.replace(/[^A-Za-z0-9_-]/g, '_');

/** The first hex digits of the SHA-256 of a value's JSON. */
export const digest = (value: unknown, length = 8): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, length);

/** The names of one kind in one table. */
export class Names {
  readonly #owners = new Map<string, string>();

  /**
   * The wanted name, or, when something else has it already, the name with a digest of the owner.
   * @param owner what the name stands for; the same owner always gets the same name.
   */
  claim(wanted: string, owner: string): string {
    const taken = this.#owners.get(wanted);
    if (taken === undefined || taken === owner) {
      this.#owners.set(wanted, owner);
      return wanted;
    }
    return this.claim(`${wanted}_${digest(owner, 6)}`, owner);
  }
}

/**
 * The name of a set. Sets of tables, accounts and interfaces have one shape each, which the name says; any other name
 * ends in the beginning of its shape's digest, so that a changed shape is another set.
 */
export function setName(role: SetRole, shape: string, counter = false): string {
  switch (role.kind) {
    case 'table': {
      const tier = role.tier === 'hosts' ? 'h' : 'p';
      const shard = role.shard === undefined ? '' : `_${role.shard}`;
      return nameable(`t_${role.table}_${tier}${role.family}${counter ? 'c' : ''}${shard}`);
    }
    case 'account': {
      const shard = role.shard === undefined ? '' : `_${role.shard}`;
      return nameable(`a_${role.account}_${role.direction === 'source' ? 'src' : 'dst'}${role.family}${shard}`);
    }
    case 'interface':
      return nameable(`i_${role.device}_${role.part === 'network' ? 'net' : 'addr'}${role.family}`);
    case 'device-macs':
      return 'i_macs';
    case 'device-flags':
      return nameable(joined('i_flags', role.mask.toString(16), role.value.toString(16), role.device));
    case 'countries':
      return joined('geo', countriesName(role.countries), role.family, role.known);
    case 'rule':
      return nameable(joined(role.word, role.rule, role.family, shape.slice(0, 4)));
    case 'extension':
      return nameable(joined('x', role.extension, role.name, role.purpose, role.family, shape.slice(0, 4)));
  }
}

/** A few by their codes, many by how many they are. */
const mostNamed = 6;
const countriesName = (codes: readonly string[]): string =>
  codes.length <= mostNamed ? codes.join('_') : `${codes.length}_${digest(codes)}`;

const joined = (...parts: readonly (string | number | undefined)[]): string =>
  parts.filter((part) => part !== undefined && part !== '').join('_');

/** The name of a counter, quota, limit … */
export function objectName(role: ObjectRole): string {
  switch (role.kind) {
    case 'overflow':
      return nameable(`o_${setName(role.of, '')}`);
    case 'account-total':
      return nameable(`a_${role.account}_all${role.family}`);
    case 'rule':
      return nameable(`c_${role.rule}`);
    case 'limit':
      return nameable(`limit_${role.rule}`);
    case 'extension':
      return nameable(`x_${role.extension}_${role.name}_${role.purpose}`);
  }
}
