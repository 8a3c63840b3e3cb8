import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, inInput, inNat, type Row } from './complaints.js';

const rules: readonly Row[] = [
  ['a misspelt key', '{ frmo: 192.0.2.1, do: drop }', '4:9 "frmo" is not known here; did you mean "from"?'],
  ['a misspelt action', '{ do: acept }', '4:13 "acept" is no action; did you mean "accept"?'],
  ['a match as an action', '{ do: state }', '4:13 "state" is no action; it is a key of the rule'],
  ['an unknown word far from all', '{ quuxification: 1, do: drop }', '4:9 "quuxification" is not known here'],
  ['a rule that does nothing', '{ tcp: 22 }', '4:7 this rule does nothing; add "do:", such as "do: accept"'],
  ['an empty list of actions', '{ do: [] }', '4:13 "do" is an empty list; write what to do with the packet'],
  ['a rule that is a word', 'accept', '4:7 "a rule" takes a map such as { tcp: 22, do: accept }, not "accept"'],
  ['a key without a value', '{ tcp: , do: drop }', '4:9 "tcp" has no value'],
  ['a map for a port', '{ tcp: { a: b }, do: drop }', '4:14 "tcp" takes a value or a list of values, not a map'],
  ['a list for one word', '{ family: [ipv4], do: drop }', '4:17 "family" takes a single value, not a list'],
  ['a list in a list', '{ tcp: [22, [23]], do: drop }', '4:19 "tcp" takes a single value, not a list'],
  [
    'an empty list',
    '{ from: [], do: drop }',
    '4:15 "from" is an empty list, which nothing matches; leave it out to match everything',
  ],
  [
    'a wrong address',
    '{ from: [192.0.2.1, 192.0.2.256], do: drop }',
    '4:27 "192.0.2.256" is not an IP address; write it as 192.0.2.1 or 2001:db8::1',
  ],
  [
    'a wrong address behind not',
    '{ from: not 192.0.2.256, do: drop }',
    '4:19 "192.0.2.256" is not an IP address; write it as 192.0.2.1 or 2001:db8::1',
  ],
  [
    'a prefix with bits beyond its length',
    '{ from: 192.0.2.77/25, do: drop }',
    '4:15 warning: "192.0.2.77/25" has bits set beyond its length; it is read as 192.0.2.0/25',
  ],
  [
    'a range that ends before it begins',
    '{ from: 192.0.2.9-192.0.2.1, do: drop }',
    '4:15 "192.0.2.9-192.0.2.1" ends before it begins; swap the two addresses',
  ],
  [
    'not before a list, in a block map',
    '\n        from: not [192.0.2.1, 192.0.2.2]\n        do: drop',
    '5:19 "not" stands before a value, not before a list; write [not a, not b]',
  ],
  ['any in a list', '{ from: [any], do: drop }', '4:16 "any" stands alone, not in a list and not behind "not"'],
  ['not any', '{ in: not any, do: drop }', '4:17 "any" stands alone, not in a list and not behind "not"'],
  [
    'an unknown part of an interface',
    '{ from: lan:net, do: drop }',
    '4:15 "lan:net" is not an address; write lan:network or lan:address',
  ],
  [
    'a misspelt service',
    '{ tcp: [ssh, htpp], do: drop }',
    '4:20 "htpp" is no port or service that is known; did you mean "http"?',
  ],
  [
    'a port out of range',
    '{ udp: 65536, do: drop }',
    '4:14 "65536" is not a port; ports go from 0 to 65535, without leading zeros',
  ],
  ['a range of ports as in ipf', '{ tcp: "20:30", do: drop }', '4:15 "20:30" is not a range of ports; write 20-30'],
  [
    'a comparison of ports',
    '{ tcp: "> 1024", do: drop }',
    '4:15 "> 1024" is not a port; write a range, as in 1025-65535',
  ],
  ['a misspelt protocol', '{ proto: tpc, do: drop }', '4:16 "tpc" is not a protocol; did you mean "tcp"?'],
  [
    'a protocol out of range',
    '{ proto: 256, do: drop }',
    '4:16 "256" is not a protocol; write a name such as tcp, udp, gre or a number from 0 to 255',
  ],
  [
    'a misspelt ICMP message',
    '{ icmp: echo-requets, do: drop }',
    '4:15 "echo-requets" is no ICMP message; did you mean "echo-request"?',
  ],
  [
    'a misspelt state',
    '{ state: [established, realted], do: accept }',
    '4:30 "realted" is not new, established, related, invalid, untracked, dnat or snat; did you mean "related"?',
  ],
  [
    'unknown flags',
    '{ flags: SX, do: drop }',
    '4:16 "SX" is no test of TCP flags; write it as S/SA, of the letters FSRPAUEC',
  ],
  [
    'flags outside their mask',
    '{ flags: S/A, do: drop }',
    `4:16 "S/A" wants flags that it doesn't look at, so that no packet has them`,
  ],
  [
    'a mark outside its mask',
    '{ mark: 0x10/0x1, do: drop }',
    '4:15 "0x10/0x1" has bits outside its mask, so that no packet has this mark',
  ],
  ['a mark of 33 bits', '{ mark: 0x100000000, do: drop }', '4:15 "0x100000000" has more than 32 bits'],
  ['a rate without a unit of time', '{ limit: 15/5, do: accept }', '4:16 "5" is not a duration; is 5s meant?'],
  [
    'a rate with a wrong word behind it',
    '{ limit: 15/5s by source, do: accept }',
    '4:22 "by" has no place here; write it as "RATE [burst SIZE] [per source|destination|rule]"',
  ],
  [
    'conns without what they are counted by',
    '{ conns: 2, do: accept }',
    '4:16 "2" ends too early; write it as "COUNT per source|destination|rule"',
  ],
  [
    'no connections at all',
    '{ conns: 0 per source, do: accept }',
    '4:16 "0" is out of range; it goes from 1 to 4294967295',
  ],
  [
    'fragment: false',
    '{ fragment: false, do: drop }',
    '4:19 "false" is not true; leave the key out if it is not wanted',
  ],
  ['an unknown option of log', '{ log: { nam: x }, do: drop }', '4:16 "nam" is not known here; did you mean "name"?'],
  ['a log that is off', '{ log: off, do: drop }', '4:14 "off" logs nothing; leave "log" out'],
  [
    'a sentence that ends too early',
    '{ do: add source to }',
    '4:13 "add source to" ends too early; write it as "add source|destination to <TABLE> [for TIME]"',
  ],
  [
    'a sentence with a wrong word',
    '{ do: delete source of <t> }',
    '4:27 "of" has no place here; write it as "delete source|destination from <TABLE>"',
  ],
  [
    'a misspelt word of a sentence',
    '{ do: reject with tcp-rest }',
    '4:25 "tcp-rest" is not tcp-reset, port, host, net or admin; did you mean "tcp-reset"?',
  ],
  ['options for a bare word', '{ do: { drop: {} } }', '4:15 "drop" takes no map; write it as "drop"'],
  [
    'two actions in one map',
    '{ do: { accept: {}, drop: {} } }',
    '4:27 an action with options is a map of one key; write { name: { … } }, each action by itself',
  ],
];

for (const [sentence, rule, ...expected] of rules) {
  test(`a rule's value: ${sentence} is told with its place`, () => assert.deepEqual(inInput(rule), expected));
}

const translations: readonly Row[] = [
  [
    'an address joined with its port',
    '{ in: wan, tcp: 80, do: dnat to 192.0.2.1:80 }',
    '2:35 "192.0.2.1:80" joins address and port; write 192.0.2.1 port 80',
  ],
  [
    'a target of the wrong kind',
    '{ in: wan, tcp: 80, do: dnat 192.0.2.1 }',
    '2:32 "192.0.2.1" has no place here; write it as "dnat to ADDRESS [port PORT] [round-robin|random|source-hash] [sticky]"',
  ],
];

for (const [sentence, rule, ...expected] of translations) {
  test(`a translation: ${sentence} is told with its place`, () => assert.deepEqual(inNat(rule), expected));
}

const sections: readonly Row[] = [
  ['a misspelt section', 'chainz: {}\n', '1:1 "chainz" is not known here; did you mean "chains"?'],
  ['another version', 'version: 2\n', '1:10 "2" is not 1'],
  [
    'a misspelt option of a table',
    'tables: { t: { timout: 1d } }\n',
    '1:16 "timout" is not known here; did you mean "timeout"?',
  ],
  [
    'a table that is a number',
    'tables: { t: 5 }\n',
    '1:14 "t" takes a map, not "5"; write it as { KEY: VALUE } of the keys entries, file, builtin, timeout, size, counters, backend, ipset and unknown',
  ],
  ['a table of nothing', 'tables: { t: }\n', '1:11 "t" has no value'],
  ['a size out of range', 'tables: { t: { size: 0 } }\n', '1:22 "0" is out of range; it goes from 1 to 16777216'],
  ['a size that is no number', 'tables: { t: { size: many } }\n', '1:22 "many" is not a whole number'],
  ['a switch that is neither on nor off', 'tables: { t: { counters: maybe } }\n', '1:26 "maybe" is not true or false'],
  ['a timeout of nothing', 'tables: { t: { timeout: 0s } }\n', '1:25 "0s" is no timeout; it goes from 1ms to 3650d'],
  [
    'more entries than a table holds',
    'tables: { t: { size: 1, entries: [192.0.2.1, 192.0.2.2, 2001:db8::1] } }\n',
    '1:11 table "t" begins with 2 entries of one kind, and its size is 1; raise its "size" to 2 or more',
  ],
  [
    'a name that cannot be one',
    'tables: { 1st: {} }\n',
    `1:11 "1st" can't name a table; take letters, digits, "_", "." and "-", and begin with a letter or "_"`,
  ],
  [
    'a name that is too long',
    `tables: { ${'x'.repeat(32)}: {} }\n`,
    `1:11 "${'x'.repeat(32)}" is too long for the name of a table; 31 characters are the most`,
  ],
  [
    'a device that cannot be one',
    'interfaces: { wan: a/b }\n',
    '1:20 "a/b" is not a device name; write it as eth0, or ppp* for all that begin so',
  ],
  [
    'an interface called any',
    'interfaces: { any: eth0 }\n',
    '1:15 "any" is every interface already; choose another name',
  ],
  ['an account of nothing', 'accounts: { sales: [] }\n', '1:20 "sales" has 0 values; 1 is the least'],
  ['an account without networks', 'accounts: { sales: { size: 5 } }\n', '1:20 "networks" is missing in "sales"'],
  [
    'a misspelt policy of a chain',
    'chains: { input: { policy: dorp } }\n',
    '1:28 "dorp" is not accept, drop or block; did you mean "drop"?',
  ],
  ['a wrong hygiene', 'hygiene: { loopbakc: on }\n', '1:12 "loopbakc" is not known here; did you mean "loopback"?'],
  [
    'pftabled without a table',
    'pftabled: { listen: 56789 }\n',
    '1:1 "pftabled" names no table; write "tables:" with those that clients may change, or "force:" with one for all',
  ],
  [
    'pftabled without a port',
    'tables: { t: {} }\npftabled: { listen: 192.0.2.1, force: t }\n',
    '2:21 "192.0.2.1" is not where one can listen; write 192.0.2.1:8080, "2001:db8::1 port 8080", or 8080',
  ],
  [
    'an open API without a token',
    'api: { listen: 192.0.2.1:8080 }\n',
    '1:1 "api" listens on the network without a token; add "token: { file: … }", or listen on unix:/run/postern/api.sock',
  ],
  [
    'a socket with a relative path',
    'api: { listen: unix:api.sock }\n',
    `1:16 "api.sock" can't be a socket; write an absolute path of at most 107 bytes`,
  ],
];

for (const [sentence, text, ...expected] of sections) {
  test(`a section: ${sentence} is told with its place`, () => assert.deepEqual(complaints(text), expected));
}
