/**
 * pknock: who has knocked may come in. A knock is a sequence of ports, which the kernel follows by itself, or one signed
 * datagram, of which the kernel hands a copy to the daemon. Either way the source ends up in a set that `knock: NAME`
 * looks into. Each entry of `knocks:` is heard wherever packets come in for this host.
 */

import type { Static } from 'typebox';
import type { Family } from '../net/address.js';
import {
  accept,
  addTo,
  ct,
  deleteFrom,
  drop,
  goto,
  limit,
  log,
  match,
  matchAny,
  meta,
  oneOf,
  payload,
  returnVerdict,
  setRef,
  update,
} from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { entryOf } from '../policy/formats/names.js';
import { timeout } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { secretFile } from '../policy/sections/schemas.js';
import { Value } from '../policy/types.js';
import { spaBytes } from '../wire/spa.js';
import { spa2Bytes } from '../wire/spa2.js';
import { addressOf } from './address-field.js';
import { type Extension, matchWord, sectionWord } from './extension.js';
import type { Line, MatchFragment } from './fragment.js';
import { knockGranted, knockGroup, knockName } from './knock-names.js';
import type { Ground, SetRequest, Site } from './site.js';

const port = Type.Integer({ minimum: 1, maximum: 65_535 });

const schema = Type.Object({
  ports: Type.Optional(
    Type.Array(port, { minItems: 1, maxItems: 15, description: 'The ports to knock at, in this order.' }),
  ),
  protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp')], {
    default: 'tcp',
    description: 'What the knocks at `ports` come by.',
  }),
  strict: Type.Boolean({ default: false, description: 'Any other new packet of that protocol spoils the sequence.' }),
  time: Type.Optional(Value(timeout, { description: 'Most time from one knock to the next.' })),
  spa: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      description: 'The UDP port of signed datagrams, as the original takes.',
    }),
  ),
  open_secret: Type.Optional(secretFile),
  close_secret: Type.Optional(secretFile),
  spa2: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      description: 'The UDP port of datagrams that clients sign with their own keys.',
    }),
  ),
  clients: Type.Optional(secretFile),
  autoclose: Type.Optional(Value(timeout, { description: 'How long the source may come in; for ever when absent.' })),
  size: Type.Integer({
    minimum: 1,
    maximum: 1_048_576,
    default: 65_536,
    description: 'Most sources, of each family, that may come in, or are about to, at a time.',
  }),
});

export type KnockSpec = Static<typeof schema>;

const families: readonly Family[] = [4, 6];

export const pknock: Extension = {
  name: 'pknock',
  summary: 'Lets in who has knocked: at ports in the right order, or with one signed datagram.',
  sections: [
    sectionWord(
      {
        name: 'knocks',
        form: 'named',
        description: 'Ways to knock; a rule with `knock: NAME` is for who did.',
        schema,
      },
      { compile: compileKnock },
    ),
  ],
  matches: [
    matchWord(
      {
        name: 'knock',
        description: 'A source that has knocked and may come in.',
        schema: Value(entryOf('knocks')),
        negatable: true,
        places: ['prerouting', 'input', 'forward'],
      },
      { compile: hasKnocked },
    ),
  ],
  parity: {
    original: 'xt_pknock',
    runs: 'kernel and daemon',
    standing: 'differs',
    how: [
      'IPv6',
      'the time limit holds for the last knock, too, and is exact; half a sequence that is too old is forgotten',
      'packets of known connections are no knocks, so that a session from the same host spoils nothing',
      'a knock is answered by nothing, nor is the one that completes the sequence let through',
      'sequences are heard in input; the grant holds in prerouting, input and forward',
      'UDP-Lite is not heard',
    ],
    checked: 'vectors of the original on a model, its recorded sequences with real packets between namespaces',
  },
};

/** As in the original, what is neither TCP nor UDP is never let in. */
function hasKnocked(name: string, site: Site): MatchFragment {
  const spec = site.policy.sections.get('knocks')!.get(name)!.spec as KnockSpec;
  const transport = site.rule.protocols === undefined ? [match(meta('l4proto'), { set: ['tcp', 'udp'] })] : [];
  return {
    disjoint: true,
    anyOf: families.map((family) => ({
      family,
      statements: [...transport, isIn(grantedSet(name, spec, family), family, site)],
    })),
  };
}

function compileKnock(name: string, spec: KnockSpec, ground: Ground): void {
  refuseMisfits(spec, ground);
  for (const family of families) ground.set(grantedSet(name, spec, family));
  if (spec.ports !== undefined) compileSequence(name, { ...spec, ports: spec.ports, timeMs: spec.time! }, ground);
  if (spec.spa !== undefined) compileDatagram(name, { port: spec.spa, bytes: spaBytes, kind: 'spa' }, ground);
  if (spec.spa2 !== undefined) compileDatagram(name, { port: spec.spa2, bytes: spa2Bytes, kind: 'spa2' }, ground);
  ground.duty({ kind: 'knock', name, nflogGroup: ground.nflogGroup(knockGroup), spec });
}

/** What the original refuses with EINVAL, and what would be two knocks in one. */
function refuseMisfits(spec: KnockSpec, ground: Ground): void {
  const { ports, time, spa, spa2, open_secret: open, close_secret: close, clients, strict } = spec;
  if ([ports, spa, spa2].filter((way) => way !== undefined).length !== 1) {
    ground.refuse('a knock is a sequence of ports or a signed datagram', 'write one of "ports:", "spa:" and "spa2:"');
  }
  if (ports === undefined && (time !== undefined || strict)) {
    ground.refuse('"time" and "strict" belong to a sequence of ports', 'leave them out');
  }
  if (ports !== undefined && time === undefined) {
    ground.refuse('a sequence of ports needs the time that may pass between two knocks', 'add "time: 10s"');
  }
  if (spa === undefined && (open !== undefined || close !== undefined)) {
    ground.refuse('secrets to open and to close belong to "spa:"', 'leave them out');
  }
  if (spa !== undefined && (open === undefined || close === undefined)) {
    ground.refuse(
      'signed datagrams need two secrets',
      'add "open_secret: { file: … }" and "close_secret: { file: … }"',
    );
  }
  if (open !== undefined && open.file === close?.file) {
    ground.refuse('the secrets to open and to close are the same file', 'take two');
  }
  if ((spa2 === undefined) !== (clients === undefined)) {
    ground.refuse('"spa2" and "clients" belong together', 'write "spa2: PORT" and "clients: { file: … }"');
  }
}

const isIn = (request: SetRequest, family: Family, ground: Ground): Statement =>
  match(addressOf('source', family), setRef(ground.set(request)));

/** Who may come in. */
const grantedSet = (name: string, { size }: KnockSpec, family: Family): SetRequest =>
  memory(name, knockGranted, size, family);

/** A set of sources. */
const memory = (name: string, purpose: string, size: number, family: Family): SetRequest => ({
  role: { kind: 'extension', extension: knockName, name, purpose, family },
  key: { type: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'] },
  flags: ['dynamic', 'timeout'],
  size,
});

interface Sequence extends KnockSpec {
  readonly ports: number[];
  readonly timeMs: number;
}

/** Sequences listen before anything is dropped, so that several can share a port. */
const listening = { type: 'filter', hook: 'input', priority: -2, policy: 'accept' } as const;
const silencing = { ...listening, priority: -1 } as const;

const isKnown: Statement = matchAny(ct('state'), ['established', 'related']);
const isNew: Statement = matchAny(ct('state'), ['new', 'invalid', 'untracked']);

/**
 * A source that has knocked at the first i ports is in the set of stage i, as long as the next knock may take. It is asked
 * for from the last stage to the first, since it is in one of them only.
 */
function compileSequence(name: string, sequence: Sequence, ground: Ground): void {
  const { ports, protocol } = sequence;
  const stages = ports.slice(1).map((_, index) => index + 1);
  ground.baseChain('knock', listening, [
    { statements: [match(meta('l4proto'), protocol, '!='), accept] },
    { statements: [isKnown, accept] },
    ...families.flatMap((family): Line[] => [
      { family, statements: [isIn(grantedSet(name, sequence, family), family, ground), accept] },
      ...stages.toReversed().map((stage) => ({
        family,
        statements: [
          isIn(stageSet(name, sequence, stage, family), family, ground),
          goto(ground.chain(`stage${stage}_${family}`, stageLines(name, sequence, stage, family, ground))),
        ],
      })),
      ...stepLines(name, sequence, 0, family, ground),
    ]),
  ]);
  ground.baseChain('silence', silencing, [
    ...families.map((family) => ({
      family,
      statements: [
        match(payload(protocol, 'dport'), oneOf([...new Set(ports)])),
        match(addressOf('source', family), setRef(ground.set(grantedSet(name, sequence, family))), '!='),
        isNew,
        drop,
      ],
    })),
  ]);
}

const stageSet = (name: string, { size }: Sequence, stage: number, family: Family): SetRequest =>
  memory(name, `stage${stage}`, size, family);

function stageLines(name: string, sequence: Sequence, stage: number, family: Family, ground: Ground): Line[] {
  const steps = stepLines(name, sequence, stage, family, ground);
  if (!sequence.strict) return steps;
  return [...steps, { family, statements: [forget(name, sequence, stage, family, ground)] }];
}

const forget = (name: string, sequence: Sequence, stage: number, family: Family, ground: Ground): Statement =>
  deleteFrom(ground.set(stageSet(name, sequence, stage, family)), addressOf('source', family));

/** From a stage to the next, or in. A source that finds no place is counted. */
function stepLines(name: string, sequence: Sequence, stage: number, family: Family, ground: Ground): Line[] {
  const { ports, protocol, timeMs } = sequence;
  const isLast = stage === ports.length - 1;
  const next = isLast ? grantedSet(name, sequence, family) : stageSet(name, sequence, stage + 1, family);
  const knocks = match(payload(protocol, 'dport'), ports[stage]!);
  const timeoutMs = isLast ? sequence.autoclose : timeMs;
  const place = addTo(ground.set(next), addressOf('source', family), timeoutMs === undefined ? {} : { timeoutMs });
  const leave = stage === 0 ? [] : [forget(name, sequence, stage, family, ground)];
  const end = isLast ? [tell(`knock:${name}`, ground), drop] : [returnVerdict];
  return [
    { family, statements: [knocks, place, ...leave, ...end] },
    { family, statements: [knocks, ground.overflow(next)] },
  ];
}

/** Bytes of a copy: the longest headers and a datagram of either version. */
const copyBytes = 512;

const tell = (prefix: string, ground: Ground): Statement =>
  log({ group: ground.nflogGroup(knockGroup), prefix, snaplen: copyBytes });

const udpHeaderBytes = 8;

/** One source gets through with a datagram a second, so that a flood from it costs the daemon nothing. */
const perSource = { rate: 1, per: 'second', burst: 20, inv: true } as const;
/** What all sources together may cost the daemon: more would queue up before it on a busy machine. */
const forAll = { rate: 5_000, per: 'second', burst: 1_000 } as const;
/** Tokens of a source are all back by then. */
const perSourceMs = 60_000;

interface Datagram {
  readonly port: number;
  /** Of the payload; any other length is dropped in the kernel. */
  readonly bytes: number;
  /** As the copies' prefix begins. */
  readonly kind: 'spa' | 'spa2';
}

function compileDatagram(name: string, { port, bytes, kind }: Datagram, ground: Ground): void {
  const asked = ground.chain('datagram', [
    ...families.flatMap((family): Line[] => {
      const seen = { ...memory(name, 'asked', 65_536, family), variant: JSON.stringify(perSource) };
      const source = addressOf('source', family);
      const spend = update(ground.set(seen), source, { timeoutMs: perSourceMs, stmt: [limit(perSource)] });
      return [
        { family, statements: [spend, drop] },
        { family, statements: [match(source, setRef(ground.set(seen)), '!='), ground.overflow(seen)] },
      ];
    }),
    { statements: [limit(forAll), tell(`${kind}:${name}`, ground), drop] },
    { statements: [drop] },
  ]);
  const dport = match(payload('udp', 'dport'), port);
  ground.baseChain('silence', silencing, [
    { statements: [dport, isNew, match(payload('udp', 'length'), udpHeaderBytes + bytes), goto(asked)] },
    { statements: [dport, isNew, drop] },
  ]);
}
