/** Sets of the addresses and networks of a device, which the link watcher keeps. */

import { addressType } from '../extensions/address-field.js';
import type { Family } from '../net/address.js';
import type { AddressTerm } from '../policy/ast.js';
import type { CompilerGround } from './site.js';

type InterfaceAddresses = Extract<AddressTerm, { kind: 'interface' }>;

/** More addresses on one device than this are a mistake. */
const size = 1024;

export function interfaceSet(ground: CompilerGround, term: InterfaceAddresses, family: Family): string {
  const { device, part } = term;
  return ground.set({
    key: { type: [addressType(family)] },
    flags: part === 'network' ? ['interval'] : [],
    size,
    role: { kind: 'interface', device, part, family },
  });
}
