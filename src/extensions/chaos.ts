/** CHAOS: by chance an error, an answer of TARPIT or DELUDE, or nothing, so that a scan finds what isn't there. */

import type { Static } from 'typebox';
import { concat, drop, goto, jhash, match, meta, numgen, range, reject, tcp, vmap } from '../nft/build.js';
import type { Expression, Statement, TableFamily, Verdict } from '../nft/model.js';
import { percentage, present } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import { addressOf } from './address-field.js';
import { answerLimit, defaultLimit } from './answer-limit.js';
import { openChain, openLines } from './delude.js';
import { actionWord, type Extension } from './extension.js';
import { type ActionFragment, does, type Line } from './fragment.js';
import { trapped } from './ingress.js';
import type { IptablesSyntax } from './iptables.js';
import type { Site } from './site.js';
import { heldChain, reflectedLines } from './tarpit.js';

const schema = Type.Object({
  tarpit: Type.Optional(Value(present, { description: 'Hold some TCP connections.' })),
  delude: Type.Optional(Value(present, { description: 'Pretend to some TCP packets that the port is open.' })),
  reject_percentage: Type.Optional(Value(percentage, { description: 'Share that is told "host unreachable"; 1%.' })),
  delude_percentage: Type.Optional(
    Value(percentage, { description: 'Share of the others that is held or deluded, if they are TCP; 1.01%.' }),
  ),
  sticky: Type.Optional(Value(present, { description: 'The same lot for a source and port each time.' })),
  limit: answerLimit,
});
type Spec = Static<typeof schema>;

export const chaos: Extension = {
  name: 'CHAOS',
  summary: 'Answers a few packets at random with errors, open ports or held connections, and drops the others.',
  actions: [
    actionWord(
      {
        name: 'chaos',
        description: 'Confuse scanners: a few random packets are refused, held or deluded, all others dropped.',
        schema,
        final: true,
        places: ['ingress', 'input', 'forward', 'output'],
      },
      { compile: confusing, netdev: true },
    ),
  ],
  iptables: [syntax()],
  parity: {
    original: 'xt_CHAOS',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'tarpit is TARPIT as the manual says; in 3.x it is the mode honeypot',
      'IPv6',
      'the shares are options of the rule, in millionths, instead of parameters of the module',
      'sticky: a source gets the same answer from a port each time',
      'answers that are held or deluded differ as those of TARPIT and DELUDE do',
    ],
    checked:
      'shares over 50,000 packets and more, both families; the packets of the recorded module; nmap where it is installed',
  },
};

function syntax(): IptablesSyntax {
  return {
    kind: 'target',
    module: 'CHAOS',
    options: { tarpit: 0, delude: 0 },
    read(options) {
      const variants = Object.fromEntries(Array.from(options.keys(), (variant) => [variant, true]));
      return { action: options.size === 0 ? 'chaos' : { chaos: variants } };
    },
  };
}

const parts = 1_000_000;

function confusing(spec: Spec, site: Site): ActionFragment {
  const { tarpit, delude, limit = defaultLimit } = spec;
  if (tarpit && delude)
    site.refuse('chaos holds connections or deludes, not both', 'write two rules with other matches');
  if (site.hooks.includes('output') && (tarpit || delude)) {
    site.refuse('in output nothing comes in that could be held or deluded', 'write "chaos" alone');
  }
  const variant = tarpit ? 'tarpit' : delude ? 'delude' : 'none';
  const key = `chaos_${site.numberOf('chaos', JSON.stringify(spec))}`;
  if (site.hooks.includes('ingress')) {
    site.note('drawn and answered at ingress');
    const answer = () =>
      variant === 'none'
        ? undefined
        : site.sharedChain(
            `${key}_${variant}`,
            variant === 'tarpit' ? reflectedLines(site) : openLines(site),
            'netdev',
          );
    return trapped(key, limit, () => lotLines(spec, key, answer(), 'netdev', site), site);
  }
  site.note('drawn in this chain; answered as by tarpit or delude here');
  const answer =
    variant === 'none' ? undefined : variant === 'tarpit' ? heldChain(limit, site) : openChain(limit, site);
  return { ...does(goto(site.sharedChain(key, lotLines(spec, key, answer, site.family, site)))), final: true };
}

/** Draws a lot, and goes where it says. */
function lotLines(spec: Spec, key: string, answer: string | undefined, table: TableFamily, site: Site): Line[] {
  const { reject_percentage: refused = parts / 100, delude_percentage: share = (parts * 1.01) / 100 } = spec;
  const answered = answer === undefined ? 0 : Math.round(((parts - refused) * share) / parts);
  const refusing = site.sharedChain('host_unreachable', [{ statements: [reject('icmpx', 'host-unreachable')] }], table);
  const lots: (readonly [Expression, Verdict])[] = [];
  const add = (from: number, to: number, verdict: Verdict) => {
    if (to > from) lots.push([range(from, to - 1), verdict]);
  };
  add(0, refused, goto(refusing));
  if (answer !== undefined) add(refused, refused + answered, goto(tcpOnly(key, answer, table, site)));
  add(refused + answered, parts, drop);
  return drawn(spec.sticky === true, (lot) => vmap(lot, lots));
}

const tcpOnly = (key: string, target: string, table: TableFamily, site: Site): string =>
  site.sharedChain(
    `${key}_tcp`,
    [{ statements: [match(meta('l4proto'), 'tcp'), goto(target)] }, { statements: [drop] }],
    table,
  );

/** Any number: another one deals anew. */
const seed = 0x6368616f;

/** Lines for each kind of packet, which go where the lot says. */
function drawn(sticky: boolean, go: (lot: Expression) => Statement): Line[] {
  if (!sticky) return [{ statements: [go(numgen('random', parts))] }];
  return ([4, 6] as const).flatMap((family): Line[] => {
    const source = addressOf('source', family);
    const ofPort = go(jhash(concat(source, tcp('dport')), parts, seed));
    return [
      { family, statements: [match(meta('l4proto'), 'tcp'), ofPort] },
      { family, statements: [go(jhash(source, parts, seed))] },
    ];
  });
}
