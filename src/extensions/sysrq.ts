/** SYSRQ: keys for the kernel's last resort, asked for over the network. The kernel hands the daemon a bounded number of copies. */

import type { Static } from 'typebox';
import type { AddressRange, Family } from '../net/address.js';
import { formatMac, type Mac, parseMac } from '../net/mac.js';
import { ct, drop, ether, limit, log, match, matchAny, oneOf, payload } from '../nft/build.js';
import { rangeExpression } from '../nft/range.js';
import { network } from '../policy/formats/addresses.js';
import { rate } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { secretFile } from '../policy/sections/schemas.js';
import { type Format, Value } from '../policy/types.js';
import { addressOf } from './address-field.js';
import { type Extension, sectionWord } from './extension.js';
import type { Line } from './fragment.js';
import { limitOf } from './rate.js';
import type { Ground } from './site.js';

/** The owner of the NFLOG group to which copies of requests go, and their prefix. */
export const sysrqGroup = 'sysrq';

const mac: Format<Mac> = {
  name: 'mac',
  label: 'MAC',
  description: 'An Ethernet address: 00:00:5e:00:53:01.',
  json: { type: 'string', pattern: '^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$' },
  parse: ({ value }) => parseMac(value),
};

const keys: Format<string> = {
  name: 'sysrq-keys',
  label: 'KEYS',
  description: 'Keys of the magic SysRq, one letter or digit each: hsu.',
  json: { type: 'string', pattern: '^[0-9a-z]+$' },
  parse: ({ value }) => {
    if (/^[0-9a-z]+$/.test(value)) return value;
    throw new Misread(`"${value}" are no keys`, 'write small letters and digits, as in hsu');
  },
};

const schema = Type.Object({
  port: Type.Integer({ minimum: 1, maximum: 65_535, default: 9, description: 'The UDP port.' }),
  from: Type.Array(Value(network), { minItems: 1, description: 'Who may ask.' }),
  mac: Type.Optional(Value(mac, { description: 'The Ethernet address that requests come from.' })),
  password: secretFile,
  hash: Type.Union([Type.Literal('sha1'), Type.Literal('sha256'), Type.Literal('sha512'), Type.Literal('md5')], {
    default: 'sha1',
    description: 'As the senders have it.',
  }),
  sign: Type.Union([Type.Literal('address'), Type.Literal('plain')], {
    default: 'address',
    description: 'What is signed: with the destination (xtables-addons 1.37 and later), or without (1.32 to 1.36).',
  }),
  keys: Value(keys, { description: 'The keys that are carried out; a request with another one is refused.' }),
  limit: Value(rate, { default: '5/1m', description: 'Most requests that are looked at.' }),
  dry_run: Type.Boolean({ default: false, description: 'Only log what would be done.' }),
});

export type SysrqSpec = Static<typeof schema>;

export const sysrq: Extension = {
  name: 'SYSRQ',
  summary: 'Carries out keys of the magic SysRq that a signed datagram asks for.',
  sections: [
    sectionWord(
      { name: 'sysrq', form: 'single', description: 'Signed requests for the magic SysRq.', schema },
      { compile: (_, spec, ground) => compileSysrq(spec, ground) },
    ),
  ],
  parity: {
    original: 'xt_SYSRQ',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'a process carries out the keys: where nothing is scheduled any more, nothing happens',
      'keys have to be allowed, and sources to be named; the original takes all keys, and its rule names the sources',
      'the sequence is on disk and outlives a restart; the original begins with the clock',
      'a new password holds from the first request on; no log line has a right digest',
      'every request is in the audit log',
    ],
    checked: 'vectors of the original, its recorded requests',
  },
};

const base = { type: 'filter', hook: 'input', priority: -1, policy: 'accept' } as const;
/** What carries requests, as in the original. */
const datagrams = ['udp', 'udplite'] as const;
/** The longest request: 512 bytes of it count. */
const copyBytes = 640;

function compileSysrq({ port, from, mac: hardware, limit: bound, ...spec }: SysrqSpec, ground: Ground): void {
  const kept = limitOf(bound);
  if (kept === undefined) ground.refuse('this limit is slower than nft can count', 'take at least one a week');
  const group = ground.nflogGroup(sysrqGroup);
  const isNew = matchAny(ct('state'), ['new', 'invalid', 'untracked']);
  const asked = ground.chain('asked', [
    { statements: [limit(kept), log({ group, prefix: sysrqGroup, snaplen: copyBytes }), drop] },
    { statements: [drop] },
  ]);
  const wire = hardware === undefined ? [] : [match(ether('saddr'), formatMac(hardware))];
  const lines = datagrams.flatMap((protocol): Line[] => {
    const dport = match(payload(protocol, 'dport'), port);
    const allowed = ([4, 6] as const).flatMap((family): Line[] => {
      const sources = sourcesOf(from, family);
      if (sources === undefined) return [];
      const source = match(addressOf('source', family), sources);
      return [{ family, statements: [dport, isNew, source, ...wire, { goto: { target: asked } }] }];
    });
    return [...allowed, { statements: [dport, isNew, drop] }];
  });
  ground.baseChain('requests', base, lines);
  ground.duty({ kind: 'sysrq', name: 'sysrq', nflogGroup: group, spec: { port, ...spec } });
}

function sourcesOf(from: readonly AddressRange[], family: Family) {
  const own = from.filter((range) => range.family === family);
  return own.length === 0 ? undefined : oneOf(own.map(rangeExpression));
}
