/** What targets can't do where they stand: an error at its place, with the nearest thing that works. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileOne } from './one-rule.js';

const cases: readonly (readonly [what: string, chain: string, rule: string, expected: RegExp])[] = [
  [
    'TARPIT in output',
    'output',
    '{ tcp: 23, do: tarpit }',
    /^5:24 "tarpit" can't stand in "output"; it can in ingress, input or forward$/,
  ],
  [
    'TARPIT of all protocols',
    'input',
    '{ from: 192.0.2.1, do: tarpit }',
    /^5:32 tarpit answers TCP only.*; add "tcp: any"$/,
  ],
  ['an unknown mode', 'input', '{ tcp: 23, do: { tarpit: { mode: sticky } } }', /^5:42 "sticky"/],
  [
    'two modes of CHAOS',
    'input',
    '{ tcp: 23, do: { chaos: { tarpit: true, delude: true } } }',
    /^5:26 chaos holds connections or deludes, not both/,
  ],
  [
    'CHAOS with delude in output',
    'output',
    '{ tcp: 23, do: { chaos: { delude: true } } }',
    /in output nothing comes in/,
  ],
  [
    'a share of more than all',
    'input',
    '{ tcp: 23, do: { chaos: { reject_percentage: 101% } } }',
    /"101%" is more than everything/,
  ],
  ['ECHO in input', 'input', '{ udp: 7, do: echo }', /^5:23 "echo" can't stand in "input"; it can in ingress$/],
  ['ECHO of TCP', 'ingress', '{ tcp: 7, do: echo }', /^6:23 echo answers UDP only/],
  [
    'a connection match at ingress',
    'ingress',
    '{ state: new, tcp: 7, do: tarpit }',
    /^6:11 "state" can't match in "ingress"/,
  ],
  [
    'TEE of a dropped packet',
    'input',
    '{ udp: 7, do: [ tee to 192.0.2.1, drop ] }',
    /never reaches; copy it in prerouting/,
  ],
  ['TEE to a network', 'input', '{ udp: 7, do: tee to 192.0.2.0/24 }', /a copy goes to one host/],
  ['TEE of the other family', 'input', '{ from: 2001:db8::1, do: tee to 192.0.2.1 }', /write two rules/],
  [
    'RAWDNAT in input',
    'input',
    '{ udp: 7, do: rawdnat to 192.0.2.0/24 }',
    /can't stand in "input"; it can in prerouting, output or postrouting$/,
  ],
  ['RAWDNAT to a range', 'prerouting', '{ udp: 7, do: rawdnat to 192.0.2.1-192.0.2.3 }', /take a prefix$/],
  [
    'RAWSNAT with accept',
    'prerouting',
    '{ udp: 7, do: [ rawsnat to 192.0.2.0/24, accept ] }',
    /accept can't stand with rawsnat/,
  ],
  ['IPMARK without an address', 'prerouting', '{ do: { ipmark: { shift: 8 } } }', /"addr" is missing/],
  [
    'IPMARK with a mask of 33 bits',
    'prerouting',
    '{ do: { ipmark: { addr: src, and_mask: 0x1ffffffff } } }',
    /has more than 32 bits/,
  ],
  ['IPMARK with a shift beyond', 'prerouting', '{ do: { ipmark: { addr: src, shift: 129 } } }', /129/],
  ['STEAL without a device', 'output', '{ udp: 7, do: steal }', /add "out:" with the names of devices$/],
  ['CHECKSUM towards a wire', 'postrouting', '{ udp: 68, out: eth0, do: checksum }', /ethtool -K DEVICE tx off/],
  [
    'CHECKSUM of IPv6',
    'postrouting',
    '{ udp: 68, family: ipv6, out: vnet0, do: checksum }',
    /UDP over IPv6 must have a checksum/,
  ],
  ['CHECKSUM of TCP', 'postrouting', '{ tcp: 68, out: vnet0, do: checksum }', /only UDP can do without/],
  [
    'DHCPMAC without a match',
    'forward',
    '{ udp: 67, do: dhcpmac to ab:cd:ef:00:00:00/24 }',
    /add "dhcpmac:" with the old address/,
  ],
  [
    'DHCPMAC of more than is matched',
    'forward',
    '{ udp: 67, dhcpmac: 00:50:56:00:00:00/16, do: dhcpmac to ab:cd:ef:00:00:00/24 }',
    /match at least 24 bits/,
  ],
  ['TARPIT with two modes', 'input', '{ tcp: 23, do: { tarpit: { mode: [tarpit, reset] } } }', /takes a single value/],
  ['two traps at once', 'input', '{ tcp: 23, do: [ tarpit, delude ] }', /never reached; put "tarpit" last/],
  [
    'a connection mark at ingress',
    'ingress',
    '{ tcp: 23, mark: connection 1, do: tarpit }',
    /use the mark of the packet$/,
  ],
  [
    'a match of connections at ingress',
    'ingress',
    '{ tcp: 23, psd: {}, do: tarpit }',
    /"psd" can't match in "ingress"; it can in prerouting/,
  ],
  ['RAWDNAT with a mask of 33 bits', 'prerouting', '{ udp: 7, do: rawdnat to 192.0.2.0/33 }', /it goes from 0 to 32$/],
  [
    'RAWDNAT with a mask of 129 bits',
    'prerouting',
    '{ udp: 7, do: rawdnat to 2001:db8::/129 }',
    /it goes from 0 to 128$/,
  ],
  [
    'RAWDNAT of the other family',
    'prerouting',
    '{ family: ipv6, udp: 7, do: rawdnat to 192.0.2.0/24 }',
    /write two rules$/,
  ],
  ['TEE without an address', 'prerouting', '{ udp: 7, do: tee }', /write it as "tee to ADDRESS/],
  [
    'TEE by a device that has no name',
    'prerouting',
    '{ udp: 7, do: tee to 192.0.2.1 via a/b }',
    /is not a device name/,
  ],
  ['a MAC with a mask of 49 bits', 'forward', '{ udp: 67, dhcpmac: 00:50:56:00:00:00/49, do: accept }', /1 to 48 bits/],
];

for (const [what, chain, rule, expected] of cases) {
  test(`${what} is refused at its place`, () => {
    const [first = 'no error'] = compileOne(chain, rule).errors;
    assert.match(first, expected);
    assert.match(first, /^[56]:[0-9]+ /);
  });
}

test('a device without an Ethernet header is refused at ingress, with the place where it works', () => {
  for (const device of ['ppp0', 'tun0', 'wg0', 'lo']) {
    const [first = 'no error'] = compileOne('ingress', '{ tcp: 23, do: tarpit }', { device }).errors;
    assert.match(
      first,
      new RegExp(`^6:[0-9]+ ${device} has no Ethernet header.*; write the rule in input or forward$`),
    );
  }
});
