import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, type Row } from './complaints.js';
import { laterWords } from './later-words.js';

const rows: readonly Row[] = [
  [
    'a table',
    'tables: { office: {} }\nchains: { input: { rules: [ { from: not <offcie>, do: drop } ] } }\n',
    '2:42 "offcie" is not in "tables:"; did you mean "<office>"?',
  ],
  [
    'a table that is written without its brackets',
    'tables: { office: {} }\nchains: { input: { rules: [ { from: office, do: drop } ] } }\n',
    '2:37 "office" is not an address; a table is written <office>',
  ],
  [
    'a table in a sentence',
    'tables: { office: {} }\nchains: { input: { rules: [ { do: add source to <offic> for 10m } ] } }\n',
    '2:50 "offic" is not in "tables:"; did you mean "<office>"?',
  ],
  [
    'a table when none is declared',
    'chains: { input: { rules: [ { from: <spammer>, do: drop } ] } }\n',
    '1:38 "spammer" is not in "tables:"; declare it there, or choose one that is',
  ],
  [
    'a table of servers',
    'tables: { web: {} }\nnat: [ { in: wan, tcp: 80, do: dnat to <wbe> round-robin } ]\n',
    '2:41 "wbe" is not in "tables:"; did you mean "<web>"?',
  ],
  [
    'a table of pftabled',
    'tables: { spammer: {} }\npftabled: { listen: 56789, tables: [spamer, <spammr>] }\n',
    '2:37 "spamer" is not in "tables:"; did you mean "spammer"?',
    '2:46 "spammr" is not in "tables:"; did you mean "<spammer>"?',
  ],
  [
    'an account',
    'accounts: { sales: 192.0.2.0/24 }\nchains: { forward: { rules: [ { do: account slaes } ] } }\n',
    '2:45 "slaes" is not in "accounts:"; did you mean "sales"?',
  ],
  [
    'a chain',
    'chains:\n  input: { rules: [ { do: jump wbe } ] }\n  web: { rules: [] }\n',
    '2:32 "wbe" is not in "chains:"; did you mean "web"?',
    '3:3 warning: nothing jumps to chain "web"; jump to it, or take it out',
  ],
  [
    'a base chain as a target',
    'chains: { input: { rules: [ { do: goto forward } ] } }\n',
    '1:40 "forward" is where packets come in; only chains of your own can be jumped to',
  ],
  [
    'an interface, in every place',
    [
      'interfaces: { wan: eth0, lan: eth1 }',
      'chains:',
      '  ingress: { on: wann, rules: [] }',
      '  input:',
      '    rules:',
      '      - { in: [wan, lna], do: drop }',
      '      - { from: lna:network, do: drop }',
      '      - { in: [eth0, lo, tun*], do: drop }',
      '      - { in: eth7, do: drop }',
    ].join('\n'),
    '3:18 "wann" is not in "interfaces:"; did you mean "wan"?',
    '6:21 "lna" is not in "interfaces:"; did you mean "lan"?',
    '7:17 "lna" is not in "interfaces:"; did you mean "lan"?',
    '9:15 "eth7" is not in "interfaces:"; add it there: `eth7: eth7`',
  ],
  [
    'the network of many interfaces',
    'interfaces: { vpn: tun* }\nchains: { input: { rules: [ { from: vpn:network, do: drop } ] } }\n',
    '2:37 "vpn:network": "tun*" stands for many interfaces; name one of them',
  ],
  [
    'an interface where an address stands',
    'interfaces: { lan: eth1 }\nchains: { input: { rules: [ { from: lan, do: drop } ] } }\n',
    '2:37 "lan" is not an address; write lan:network or lan:address',
  ],
  [
    'a wrong device, but not the uses of its name',
    'interfaces: { lan: an/interface }\nchains: { input: { rules: [ { in: lan, do: drop } ] } }\n',
    '1:20 "an/interface" is not a device name; write it as eth0, or ppp* for all that begin so',
  ],
  [
    'a user that cannot be resolved',
    'chains: { output: { rules: [ { user: www-data, do: drop } ] } }\n',
    '1:38 there is no user "www-data" here; write its number',
  ],
  [
    'a name of a rule that another has',
    'chains: { input: { rules: [ { name: a, do: drop }, { name: a, do: drop } ] } }\nnat:\n- { name: a, out: wan, do: masquerade }\n',
    '1:60 a rule "a" is already in line 1; choose another name',
    '3:11 a rule "a" is already in line 1; choose another name',
  ],
];

for (const [sentence, text, ...expected] of rows) {
  test(`names: ${sentence} is told with its place`, () => assert.deepEqual(complaints(text), expected));
}

test('names in sections of extensions are known to their words', () => {
  const text = 'quotas: { guest: { bytes: 1GiB } }\nchains: { forward: { rules: [ { quota: gest, do: accept } ] } }\n';
  assert.deepEqual(complaints(text, { vocabulary: laterWords }), [
    '2:40 "gest" is not in "quotas:"; did you mean "guest"?',
  ]);
});

test('a list that cannot be read is told at its name', () => {
  const text = 'tables:\n  office: { file: lists/office.txt }\n';
  assert.deepEqual(complaints(text, { readList: () => undefined }), [
    '2:19 the list "lists/office.txt" can\'t be read; a relative path begins at the folder of the policy',
  ]);
});

test('a wrong line of a list is told with the place in the list', () => {
  const list = '# office\n192.0.2.1\n\n  192.0.2.300  # typo\n!192.0.2.7\nnot 192.0.2.8/30\n';
  assert.deepEqual(complaints('tables: { t: { file: office.txt } }', { readList: () => list }), [
    'office.txt:4:3 "192.0.2.300" is not an IP address; write it as 192.0.2.1 or 2001:db8::1',
  ]);
});

test('a file that is no list is given up after a hundred wrong lines', () => {
  const list = 'no list\n'.repeat(100_000);
  assert.equal(complaints('tables: { t: { file: office.txt } }', { readList: () => list }).length, 100);
});
