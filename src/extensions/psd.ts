/**
 * psd: who probes many ports in short time. In the kernel a set remembers the ports of a source, an element's limit its
 * weight, one unit a line. The exact form gives each new port of a source to the scorer in the daemon, which does what the
 * original does and puts sources that scan into a set.
 */

import type { Family } from '../net/address.js';
import { addTo, and, limit, log, match, meta, payload, setRef, tcp } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { duration, timeout } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { addressOf } from './address-field.js';
import type { Decision } from './decision.js';
import { type Extension, matchWord } from './extension.js';
import type { Line, MatchFragment } from './fragment.js';
import { type IptablesOption, numeral } from './iptables.js';
import { kernelLines } from './psd-kernel.js';
import { type PsdDuty, psdCopyBytes, psdDuty, psdFound, psdName, psdPrefix } from './psd-names.js';
import { nameOf, type PsdSpec, pair, pairSet, source, sourceSet } from './psd-sets.js';
import type { Site } from './site.js';

const most = 10_000;
const longestDelayMs = 100_000;
const weight = (usual: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: most, default: usual, description });

const schema = Type.Object({
  weight_threshold: Type.Integer({
    minimum: 1,
    maximum: most,
    default: 21,
    description: 'The weight of its ports from which a source is scanning.',
  }),
  delay_threshold: Value(duration, {
    default: '3s',
    minimum: 1,
    maximum: longestDelayMs,
    description: 'The longest pause between two new ports of one scan.',
  }),
  lo_ports_weight: weight(3, 'What a port below 1024 weighs.'),
  hi_ports_weight: weight(1, 'What any other port weighs.'),
  exact: Type.Boolean({
    default: false,
    description: 'Let the daemon decide as the original does; it then matches from the next packet on.',
  }),
  hold: Value(timeout, { default: '1m', description: 'With `exact`: how long a source goes on matching.' }),
  size: Type.Integer({
    minimum: 16,
    maximum: 1_048_576,
    default: 65_536,
    description: 'Most sources that are watched at a time, of each family.',
  }),
});

export const psd: Extension = {
  name: psdName,
  summary: 'Finds sources that probe many ports in short time.',
  matches: [
    matchWord(
      {
        name: 'psd',
        description: 'The packet is a probe of a source that scans ports.',
        schema,
        negatable: true,
        places: ['prerouting', 'input', 'forward', 'output', 'postrouting'],
      },
      { compile: compilePsd },
    ),
  ],
  iptables: [
    {
      kind: 'match',
      module: 'psd',
      options: {
        'psd-weight-threshold': 1,
        'psd-delay-threshold': 1,
        'psd-lo-ports-weight': 1,
        'psd-hi-ports-weight': 1,
      },
      negatable: ['psd-weight-threshold', 'psd-delay-threshold', 'psd-lo-ports-weight', 'psd-hi-ports-weight'],
      read: (options) => ({ match: { psd: written(options) } }),
    },
  ],
  parity: {
    original: 'xt_psd',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'weights are not cut to 8 bits, so that thresholds above 255 work',
      'in the kernel a port is remembered for a minute or as long as a scan can take, not as long as the source goes on: whoever tries the same ports again after a pause is counted late',
      'in the kernel any number of ports is remembered',
      '65,536 sources instead of 256; rules with other numbers have a memory of their own',
      '`exact` follows copies of the packets: a source matches from the packet after the one that gave it away, and for `hold`',
    ],
    checked:
      'vectors and recorded sequences of the original on the scorer, the same sequences with real packets on the rules, nmap -sS -sT -sU -sF and ordinary browsing between namespaces',
  },
};

function written(options: ReadonlyMap<string, IptablesOption>): Record<string, unknown> {
  const spec: Record<string, unknown> = {};
  for (const [option, { value = '' }] of options) {
    const key = option.replace(/^psd-/, '').replaceAll('-', '_');
    spec[key] = key === 'delay_threshold' ? hundredths(numeral(value)) : numeral(value);
  }
  return spec;
}

/** As a duration; none at all means the same tick. */
const hundredths = (given: number | string): string =>
  typeof given === 'string' ? given : `${Math.max(1, given) * 10}ms`;

const families: readonly Family[] = [4, 6];
const protocols = ['tcp', 'udp', 'udplite'];

function compilePsd(spec: PsdSpec, site: Site): MatchFragment {
  if (spec.lo_ports_weight === 0 && spec.hi_ports_weight === 0) {
    site.refuse('when no port weighs anything, nobody ever scans', 'give one of the weights');
  }
  return { stateful: true, decide: (matched, others) => probes(spec, site, matched, others) };
}

/** A later fragment has no ports. */
const isLater: Readonly<Record<Family, Statement>> = {
  4: match(and(payload('ip', 'frag-off'), 0x1fff), 0, '!='),
  6: match({ exthdr: { name: 'frag', field: 'frag-off' } }, 0, '!='),
};

const isNothing: Readonly<Record<Family, string>> = { 4: '0.0.0.0', 6: '::' };

/** What can't be a probe leaves first, established traffic with the first test. */
function probes(spec: PsdSpec, site: Site, matched: readonly Statement[], others: readonly Statement[]): Line[] {
  const decide = spec.exact ? exactLines : kernelLines;
  return [
    { statements: [match(and(tcp('flags'), 'ack'), 0, '!='), ...others] },
    { statements: [match(meta('l4proto'), { set: protocols }, '!='), ...others] },
    ...families
      .filter((family) => site.rule.families.includes(family))
      .flatMap((family): Line[] => [
        { family, statements: [isLater[family], ...others] },
        { family, statements: [match(addressOf('source', family), isNothing[family]), ...others] },
        ...decide(spec, { family, site, matched, others }),
      ]),
    { statements: others },
  ];
}

/** A pair that comes again within the delay changes nothing for the scorer, so that it is told of once. */
function exactLines(spec: PsdSpec, { family, site, matched, others }: Decision): Line[] {
  const group = site.nflogGroup(psdDuty);
  const name = nameOf(spec);
  site.duty({ kind: psdDuty, name, nflogGroup: group, spec: dutyOf(spec) });
  const told = { ...pairSet(spec, 'told', family), variant: 'once' };
  const found = sourceSet(spec, psdFound, family);
  const once = addTo(site.set(told), pair(family), {
    timeoutMs: spec.delay_threshold,
    stmt: [limit({ rate: 1, per: 'week', burst: 1 })],
  });
  return [
    { family, statements: [once, log({ group, prefix: psdPrefix(name), snaplen: psdCopyBytes })] },
    { family, statements: [match(pair(family), setRef(site.set(told)), '!='), site.overflow(told)] },
    { family, statements: [match(source(family), setRef(site.set(found))), ...matched] },
    { family, statements: others },
  ];
}

const dutyOf = (spec: PsdSpec): PsdDuty => ({
  weightThreshold: spec.weight_threshold,
  delayMs: spec.delay_threshold,
  loPortsWeight: spec.lo_ports_weight,
  hiPortsWeight: spec.hi_ports_weight,
  hosts: spec.size,
  holdMs: spec.hold,
});
