/** What sets and objects of a plan are called for people: by what they are for, never by their names in the kernel. */

import type { Manifest, ManifestObject, ManifestSet, ObjectRole, SetRole } from '../compiler/plan.js';
import { placeText } from './policy-index.js';

/** `<bad>`, `wan0:network`, `account sales (by source)`, `what psd all remembers: seen ports`. */
export function setLabel({ role }: Pick<ManifestSet, 'role'>, manifest?: Pick<Manifest, 'objects'>): string {
  switch (role.kind) {
    case 'table':
      return `<${role.table}>`;
    case 'interface':
      return `${role.device}:${role.part}`;
    case 'account':
      return `account ${role.account} (by ${role.direction})`;
    case 'device-macs':
      return 'the MACs of devices';
    case 'device-flags':
      return role.device === undefined ? 'devices by their flags' : `flags of ${role.device}`;
    case 'countries':
      return `${role.known === undefined ? '' : `addresses ${role.known} of `}countries ${role.countries.join(', ')}`;
    case 'rule':
      return `${role.word} of ${ruleLabel(role.rule, manifest)}`;
    case 'extension':
      return `${role.extension} ${role.name} (${role.purpose})`;
  }
}

/** `the count of p.yaml:12`, `account total`, `quota guest`. */
export function objectLabel({ role, kind }: ManifestObject, manifest: Manifest): string {
  switch (role.kind) {
    case 'rule':
      return `count of ${placeText(role.origin)}`;
    case 'overflow':
      return `addresses that ${setLabel({ role: role.of as SetRole }, manifest)} had no room for`;
    case 'account-total':
      return `account ${role.account} (IPv${role.family})`;
    case 'limit':
      return `limit of ${ruleLabel(role.rule, manifest)}`;
    case 'extension':
      return `${kind} of ${role.extension} ${role.name} (${role.purpose})`;
  }
}

/** Rules are known by generated ids; the counters of most of them say where they stand. */
function ruleLabel(rule: string, manifest: Pick<Manifest, 'objects'> | undefined): string {
  const roles: readonly ObjectRole[] = manifest?.objects.map(({ role }) => role) ?? [];
  const found = roles.find((role) => role.kind === 'rule' && role.rule === rule);
  return found?.kind === 'rule' ? placeText(found.origin) : `rule ${rule}`;
}
