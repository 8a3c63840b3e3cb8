/**
 * ACCOUNT: packets and bytes of each address of a network, as source and as destination. A set for each direction and
 * family holds the addresses that were seen; packets that find it full are counted apart, so that the sum is always
 * right. Networks of all addresses are one counter. The words (`accounts:`, `account NAME`) are the core's.
 */

import type { AddressRange, Family } from '../net/address.js';
import { rangePrefix } from '../net/prefix.js';
import { mergeRanges } from '../net/ranges.js';
import { counter, goto, jhash, jump, match, returnVerdict, update, vmap } from '../nft/build.js';
import type { Expression, Statement, Verdict } from '../nft/model.js';
import { rangeExpression } from '../nft/range.js';
import type { AccountDecl } from '../policy/ast.js';
import { addressOf, addressType } from './address-field.js';
import type { Extension } from './extension.js';
import type { Line } from './fragment.js';
import type { SetRequest, Site } from './site.js';

export const account: Extension = {
  name: 'ACCOUNT',
  summary: 'Counts packets and bytes of every address of a network, by source and destination.',
  iptables: [
    {
      kind: 'target',
      module: 'ACCOUNT',
      options: { addr: 1, tname: 1 },
      read(options) {
        const network = options.get('addr')?.value ?? '0.0.0.0/0';
        const name = options.get('tname')?.value ?? 'account';
        return { action: `account ${name}`, sections: [['accounts', name, network]] };
      },
    },
  ],
  parity: {
    original: 'xt_ACCOUNT',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'IPv6 networks and several networks in one account',
      'an address takes memory when it is seen, not before; packets that find the account full are counted apart',
      'up to 16777216 addresses in any layout; the original takes networks up to /8',
    ],
    checked:
      'traffic between namespaces, compared with the packets and bytes that were sent; the packets of the recorded module, as iptaccount tells them',
  },
};

/** A set of the kernel is read in time that grows with the square of its size: larger accounts are spread over several. */
const shardSize = 65_536;
/** What a shard should hold on average, so that chance doesn't fill it before the others. */
const shardLoad = 61_440;
/** Any number; another one would move addresses to other shards at a reload. */
const shardSeed = 0x706f7374;

/** The chain that counts for an account. */
export function accountJump(name: string, site: Site): Verdict {
  const decl = site.policy.accounts.get(name)!;
  site.note(`account ${name} is counted in a chain of its own, by all rules that name it`);
  return jump(site.sharedChain(`account_${name}`, linesOf(decl, site)));
}

function linesOf(decl: AccountDecl, site: Site): Line[] {
  return ([4, 6] as const).flatMap((family) => {
    const networks = mergeRanges(decl.networks.filter((network) => network.family === family));
    if (networks.length === 0) return [];
    if (networks.some(isEverything)) return [{ family, statements: [total(decl, family, site)] }];
    return (['source', 'destination'] as const).map((direction) => ({
      family,
      statements: [
        match(addressOf(direction, family), oneOfRanges(networks)),
        jump(addressChain(decl, direction, family, site)),
      ],
    }));
  });
}

const isEverything = (range: AddressRange): boolean => rangePrefix(range)?.length === 0;

function oneOfRanges(ranges: readonly AddressRange[]): Expression {
  const [only] = ranges;
  return ranges.length === 1 && only !== undefined ? rangeExpression(only) : { set: ranges.map(rangeExpression) };
}

const total = (decl: AccountDecl, family: Family, site: Site): Statement =>
  counter(site.object({ kind: 'counter', role: { kind: 'account-total', account: decl.name, family } }));

/** The chain that finds the address's place. */
function addressChain(decl: AccountDecl, direction: 'source' | 'destination', family: Family, site: Site): string {
  const name = `a_${decl.name}_${direction === 'source' ? 'src' : 'dst'}${family}`;
  const address = addressOf(direction, family);
  const shards = decl.size <= shardSize ? 1 : Math.ceil(decl.size / shardLoad);
  if (shards === 1)
    return site.sharedChain(name, countingLines(requestOf(decl, direction, family), address, family, site));
  const targets = Array.from({ length: shards }, (_, shard) => {
    const request = requestOf(decl, direction, family, shard);
    return site.sharedChain(`${name}_${shard}`, countingLines(request, address, family, site));
  });
  const key = jhash(address, shards, shardSeed);
  return site.sharedChain(name, [
    {
      family,
      statements: [
        vmap(
          key,
          targets.map((target, shard) => [shard, goto(target)] as const),
        ),
      ],
    },
  ]);
}

const requestOf = (
  { name, size }: AccountDecl,
  direction: 'source' | 'destination',
  family: Family,
  shard?: number,
): SetRequest => ({
  role: { kind: 'account', account: name, direction, family, ...(shard !== undefined && { shard }) },
  key: { type: [addressType(family)] },
  flags: ['dynamic'],
  size: Math.min(size, shardSize),
  counter: true,
});

const countingLines = (request: SetRequest, address: Expression, family: Family, site: Site): Line[] => [
  { family, statements: [update(site.set(request), address), returnVerdict] },
  { statements: [site.overflow(request)] },
];
