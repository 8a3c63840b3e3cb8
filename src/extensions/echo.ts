/** ECHO: the UDP echo service (RFC 862), answered by turning the datagram round. */

import type { Static } from 'typebox';
import type { Family } from '../net/address.js';
import { drop, goto, mangle, match, oneOf, payload, range, raw } from '../nft/build.js';
import type { Statement } from '../nft/model.js';
import { Type } from '../policy/schema-type.js';
import { answerLimit, defaultLimit } from './answer-limit.js';
import { actionWord, type Extension } from './extension.js';
import type { ActionFragment, Line } from './fragment.js';
import { sendBack, trapped } from './ingress.js';
import { onlyProtocol } from './only.js';
import { byFamily, freshHops, turnAddresses, turnPorts } from './reflector.js';
import type { Site } from './site.js';

const schema = Type.Object({ limit: answerLimit });

export const echo: Extension = {
  name: 'ECHO',
  summary: 'Sends UDP datagrams back to where they came from.',
  actions: [
    actionWord(
      {
        name: 'echo',
        description: 'Send the UDP datagram back.',
        schema,
        final: true,
        places: ['ingress'],
      },
      { compile: echoing, netdev: true },
    ),
  ],
  iptables: [{ kind: 'target', module: 'ECHO', options: {}, read: () => ({ action: 'echo' }) }],
  parity: {
    original: 'xt_ECHO',
    runs: 'kernel',
    standing: 'differs',
    how: [
      'at ingress; the original stands in INPUT and FORWARD',
      'datagrams from a port that answers, too (echo, daytime, chargen, or a port of the rule), are dropped: two hosts would send them to and fro for ever',
      "datagrams with IP options and fragments are dropped; a length that is longer than the datagram, which stops the original's kernel, goes back as it came",
      'a wrong checksum goes back wrong; the original computes a new one',
      'no more than 1000 answers a second, unless the policy says otherwise',
    ],
    checked:
      'the packets of the recorded module, both families; checksums recomputed; datagrams with and without a checksum',
  },
};

function echoing({ limit = defaultLimit }: Static<typeof schema>, site: Site): ActionFragment {
  onlyProtocol('echo', 17, site);
  const own = ownPorts(site);
  const number = site.numberOf('echo', JSON.stringify(own));
  site.note('answered at ingress by turning the datagram round');
  return trapped(`echo_${number}`, limit, () => lines(own, number, site), site);
}

interface Ports {
  readonly first: number;
  readonly last: number;
}

/** Ports of services that answer to every datagram: echo, daytime, quote of the day, chargen, time. */
const answeringServices: readonly Ports[] = [7, 13, 17, 19, 37].map((port) => ({ first: port, last: port }));

/** The ports that the rule is about; none: all of them. */
const ownPorts = ({ ast }: Site): readonly Ports[] =>
  ast.matches.flatMap((word) =>
    (word.word === 'udp' || word.word === 'port') && word.ports !== 'any'
      ? word.ports.any.map(({ first, last }) => ({ first, last }))
      : [],
  );

const sourcePort = raw('th', 0, 16);

function lines(own: readonly Ports[], number: number, site: Site): Line[] {
  // Datagrams from there may be answers themselves.
  const guarded = [...answeringServices, ...own.filter(({ first, last }) => first !== last || !isAnswering(first))];
  const last = Math.max(...guarded.map((ports) => ports.last));
  const familyLines = (family: Family): Line[] => {
    const target = goto(echoChain(family, own, site));
    // The original answers no empty datagrams.
    const answered = [isPlain[family], match(raw('th', 32, 16), 8, '>')];
    const ports = oneOf(guarded.map((one) => range(one.first, one.last)));
    return [
      // Nearly all of them, without a lookup.
      { statements: [...answered, match(sourcePort, last, '>'), target] },
      { statements: [...answered, match(sourcePort, ports, '!='), target] },
      { statements: [drop] },
    ];
  };
  return byFamily(`trap_echo_${number}_`, familyLines, site);
}

const isAnswering = (port: number): boolean => answeringServices.some(({ first }) => first === port);

/** No options, no extension headers: they would go back, too. */
const isPlain: Readonly<Record<Family, Statement>> = {
  4: match(raw('nh', 0, 8), 0x45),
  6: match(raw('nh', 48, 8), 17),
};

/** To one port the answer's ports are known: nothing has to be put aside. */
function echoChain(family: Family, [only, ...more]: readonly Ports[], site: Site): string {
  const port = only !== undefined && more.length === 0 && only.first === only.last ? only.first : undefined;
  const ports = port === undefined ? turnPorts : [mangle(raw('th', 16, 16), sourcePort), mangle(sourcePort, port)];
  const turned = [...turnAddresses(family), ...ports];
  const lines = family === 4 ? fragmentable(turned, site) : sendBack([...turned, freshHops(6)], site);
  return site.sharedChain(`trap_echo${family}${port === undefined ? '' : `_${port}`}`, lines, 'netdev');
}

const fragmentWord = raw('nh', 48, 16);
const DONT_FRAGMENT = 0x4000;

/**
 * The answer may be fragmented, and has a fresh time to live. To the sum of the header the bit that goes is as much as the
 * 64 hops that come: what a time to live of 0 adds up to is right for both.
 */
function fragmentable(turned: readonly Statement[], site: Site): Line[] {
  const both = [mangle(payload('ip', 'ttl'), 0), mangle(raw('nh', 48, 24), 64)];
  const [whole] = sendBack([match(fragmentWord, DONT_FRAGMENT), ...turned, ...both], site);
  return [whole!, ...sendBack([...turned, mangle(payload('ip', 'frag-off'), 0), freshHops(4)], site)];
}
