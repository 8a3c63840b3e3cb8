/**
 * iface: flags of a network device. nft can't read them; so the daemon keeps a set of the devices whose flags are as a
 * rule wants them, for each combination that a rule asks for. A device that isn't there, and a packet that has none, is in no
 * set: neither the flag nor its negation holds.
 */

import type { Static } from 'typebox';
import { match, meta, setRef } from '../nft/build.js';
import { interfaceName } from '../policy/formats/interfaces.js';
import { present } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Misread } from '../policy/scope.js';
import { ChoiceOf, type Format, Value } from '../policy/types.js';
import { DEVICE_FLAGS } from '../wire/rtnetlink.js';
import { type Extension, matchWord } from './extension.js';
import { holds, type MatchFragment } from './fragment.js';
import type { IptablesOption, IptablesReading } from './iptables.js';
import type { SetRequest, Site } from './site.js';

/** A flag, or that it is clear. */
interface FlagTest {
  readonly bit: number;
  readonly set: boolean;
}

type FlagName = keyof typeof DEVICE_FLAGS;
const flagNames = Object.keys(DEVICE_FLAGS) as FlagName[];
/** Words of the original for a flag that is clear, and other spellings. */
const others: Readonly<Record<string, readonly [FlagName, set: boolean]>> = {
  down: ['up', false],
  arp: ['noarp', false],
  pointtopoint: ['pointopoint', true],
};

const deviceFlag: Format<FlagTest> = {
  name: 'device-flag',
  label: 'FLAG',
  description: `A flag of a network device: ${[...flagNames, ...Object.keys(others)].join(', ')}.`,
  json: { type: 'string', pattern: `^(not )?(${[...flagNames, ...Object.keys(others)].join('|')})$` },
  parse({ value }) {
    const name = value.replace('-', '_');
    const [flag, set] = others[name] ?? [flagNames.find((known) => known === name), true];
    if (flag === undefined)
      throw new Misread(
        `"${value}" is no flag of a device`,
        `known are ${[...flagNames, ...Object.keys(others)].join(', ')}`,
      );
    return { bit: DEVICE_FLAGS[flag], set };
  },
};

const schema = Type.Object({
  iface: Type.Optional(Value(interfaceName, { description: 'The device, whatever the packet has to do with it.' })),
  dev_in: Type.Optional(Value(present, { description: 'The device that the packet came in by.' })),
  dev_out: Type.Optional(Value(present, { description: 'The device that the packet leaves by.' })),
  flags: ChoiceOf(Value(deviceFlag), {
    description: 'Flags that must all be set; behind "not" those that must be clear.',
  }),
});
type IfaceSpec = Static<typeof schema>;

export const iface: Extension = {
  name: 'iface',
  summary: 'Matches the flags of a network device: of the one a packet comes or goes by, or of any.',
  matches: [
    matchWord(
      { name: 'iface', description: 'A network device is up, running, promiscuous …', schema },
      { compile: hasFlags },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'iface',
      options: {
        ...{ iface: 1, 'dev-in': 0, 'dev-out': 0 },
        ...Object.fromEntries(
          [...flagNames, ...Object.keys(others)].map((name) => [name.replace('_', '-'), 0 as const]),
        ),
      },
      negatable: ['iface', ...[...flagNames, ...Object.keys(others)].map((name) => name.replace('_', '-'))],
      read: readFlags,
    },
  ],
  parity: {
    original: 'xt_iface',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'running, lower_up and dormant are what `ip link` says; the original looks where the kernel keeps none of the three, and never sees one set',
      'a change of a flag is seen a few milliseconds later: the daemon hears of it and changes the set',
      'devices with a dot in their name can be named; a pattern can not',
    ],
    checked:
      'every flag of real devices and its negation, set and cleared while packets run; no device in every hook; the states of the recorded module',
  },
};

function readFlags(options: ReadonlyMap<string, IptablesOption>): IptablesReading {
  const where = options.get('iface');
  const sides = { ...(options.has('dev-in') && { dev_in: true }), ...(options.has('dev-out') && { dev_out: true }) };
  const flags = [...options]
    .filter(([name]) => name !== 'iface' && name !== 'dev-in' && name !== 'dev-out')
    .map(([name, { negated }]) => `${negated ? 'not ' : ''}${name.replace('-', '_')}`);
  return { match: { iface: { ...(where !== undefined && { iface: where.value }), ...sides, flags } } };
}

/** Names of devices that a set has room for; the names of a host's devices are few. */
const mostDevices = 4_096;

function hasFlags({ iface: fixed, dev_in, dev_out, flags }: IfaceSpec, site: Site): MatchFragment {
  if ([fixed, dev_in, dev_out].filter((one) => one !== undefined).length !== 1)
    site.refuse('flags are those of one device', 'write one of "iface: NAME", "dev_in: true" and "dev_out: true"');
  const wanted = testOf(flags, site);
  if (fixed !== undefined) {
    if (fixed.device.endsWith('*')) site.refuse(`"${fixed.device}" is more than one device`, 'name one');
    const role = { kind: 'device-flags', ...wanted, device: fixed.device } as const;
    return holds(match(meta('nfproto'), setRef(site.set({ role, key: { type: ['nf_proto'] }, flags: [], size: 2 }))));
  }
  const devices: SetRequest = {
    role: { kind: 'device-flags', ...wanted },
    key: { type: ['ifname'] },
    flags: [],
    size: mostDevices,
  };
  return holds(match(meta(dev_in ? 'iifname' : 'oifname'), setRef(site.set(devices))));
}

function testOf({ any, not }: IfaceSpec['flags'], site: Site): { readonly mask: number; readonly value: number } {
  let [mask, value] = [0, 0];
  for (const { bit, set } of [...any, ...not.map((test) => ({ ...test, set: !test.set }))]) {
    if ((mask & bit) !== 0 && ((value & bit) !== 0) !== set)
      site.refuse('no device has a flag set and clear', 'leave one of them out');
    mask |= bit;
    if (set) value |= bit;
  }
  return { mask, value };
}
