/**
 * pknock: who has knocked may come in. A knock is a sequence of ports, which the kernel follows by itself, or one signed
 * datagram, of which the kernel hands a copy to the daemon. Either way the source ends up in a set that `knock: NAME`
 * looks into. Each entry of `knocks:` is heard wherever packets come in for this host.
 */

import { match, meta, setRef } from '../nft/build.js';
import { entryOf } from '../policy/formats/names.js';
import { Value } from '../policy/types.js';
import { spaBytes } from '../wire/spa.js';
import { spa2Bytes } from '../wire/spa2.js';
import { type Extension, matchWord, sectionWord } from './extension.js';
import type { MatchFragment } from './fragment.js';
import { compileDatagram } from './knock-copies.js';
import { knockGroup } from './knock-names.js';
import { compileSequence } from './knock-sequence.js';
import { families, grantSets } from './knock-sets.js';
import { type KnockSpec, knockSchema } from './knock-spec.js';
import type { Ground, Site } from './site.js';

export const pknock: Extension = {
  name: 'pknock',
  summary: 'Lets in who has knocked: at ports in the right order, or with one signed datagram.',
  sections: [
    sectionWord(
      {
        name: 'knocks',
        form: 'named',
        description: 'Ways to knock; a rule with `knock: NAME` is for who did.',
        schema: knockSchema,
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
    ],
    checked: 'vectors of the original on a model, its recorded sequences with real packets between namespaces',
  },
};

/** As in the original, what is neither TCP nor UDP is never let in. */
function hasKnocked(name: string, site: Site): MatchFragment {
  const spec = site.policy.sections.get('knocks')!.get(name)!.spec as KnockSpec;
  const transport =
    site.rule.protocols === undefined ? [match(meta('l4proto'), { set: ['tcp', 'udp', 'udplite'] })] : [];
  const sets = families.flatMap((family) => grantSets(name, spec, family).map((set) => ({ family, ...set })));
  return {
    disjoint: sets.length === families.length,
    anyOf: sets.map(({ family, request, key }) => ({
      family,
      statements: [...transport, match(key, setRef(site.set(request)))],
    })),
  };
}

function compileKnock(name: string, spec: KnockSpec, ground: Ground): void {
  refuseMisfits(spec, ground);
  for (const family of families) {
    for (const { request } of grantSets(name, spec, family)) ground.set(request);
  }
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
  if (spa2 === undefined && (spec.ipv4_prefixes ?? spec.ipv6_prefixes) !== undefined) {
    ground.refuse('only clients with keys of their own may ask for prefixes', 'take "spa2:", or leave them out');
  }
  if (spa2 === undefined && spec.reply) {
    ground.refuse('only clients with keys of their own can be answered', 'take "spa2:", or leave "reply" out');
  }
}
