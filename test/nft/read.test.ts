import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { presenceOf } from '../../src/nft/presence.js';
import { parseExact, readListing } from '../../src/nft/read.js';

/** As nft 1.0.6 prints it: no device for netdev, no `dynamic`, counts beyond 2^63 negative, elements in every shape. */
const printed = `{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
{"table": {"family": "inet", "name": "postern", "handle": 1}},
{"limit": {"family": "inet", "name": "l1", "table": "postern", "handle": 3, "rate": 10, "per": "second", "inv": true, "rate_unit": "mbytes", "burst": 512, "burst_unit": "kbytes"}},
{"limit": {"family": "inet", "name": "l2", "table": "postern", "handle": 4, "rate": 5, "per": "minute", "burst": 5}},
{"quota": {"family": "inet", "name": "q", "table": "postern", "handle": 5, "bytes": 20971520, "used": 12, "inv": true}},
{"counter": {"family": "inet", "name": "c", "table": "postern", "handle": 6, "comment": "a } \\" b", "packets": 9007199254740993, "bytes": -1}},
{"ct helper": {"family": "inet", "name": "h", "table": "postern", "handle": 7, "type": "ftp", "protocol": "tcp", "l3proto": "inet"}},
{"ct timeout": {"family": "inet", "name": "t", "table": "postern", "handle": 8, "protocol": "tcp", "l3proto": "ip", "policy": {"established": 100, "close": 4}}},
{"set": {"family": "inet", "name": "s", "table": "postern", "type": ["ipv4_addr", "inet_service"], "handle": 9, "size": 100, "flags": ["timeout"], "timeout": 1}},
{"set": {"family": "inet", "name": "s2", "table": "postern", "type": "ipv4_addr", "handle": 10, "flags": ["interval"], "elem": ["10.9.0.1",
 {"range": ["1.2.3.4", "1.2.3.9"]}, {"elem": {"val": {"prefix": {"addr": "10.0.0.0", "len": 8}}, "timeout": 3600, "expires": 3598, "comment": "a", "counter": {"packets": 3, "bytes": 84}}}]}},
{"set": {"family": "inet", "name": "s3", "table": "postern", "type": "integer", "handle": 11, "elem": [1387787583537246835, {"concat": ["10.0.0.1", 22]}]}},
{"map": {"family": "inet", "name": "m", "table": "postern", "type": "ipv4_addr", "handle": 11, "map": "verdict", "elem": [["10.0.0.1", {"jump": {"target": "side"}}], [{"elem": {"val": "10.0.0.2", "comment": "x"}}, {"drop": null}]]}},
{"chain": {"family": "inet", "table": "postern", "name": "side", "handle": 1}},
{"chain": {"family": "inet", "table": "postern", "name": "in", "handle": 2, "type": "filter", "hook": "input", "prio": -5, "policy": "drop"}},
{"rule": {"family": "inet", "table": "postern", "chain": "in", "handle": 15, "expr": [{"match": {"op": "==", "left": {"payload": {"base": "ih", "offset": 0, "len": 64}}, "right": 1387787583537246835}}]}},
{"rule": {"family": "inet", "table": "postern", "chain": "in", "handle": 16, "comment": "bar", "expr": [{"counter": "c"}]}},
{"table": {"family": "netdev", "name": "foreign", "handle": 2}},
{"chain": {"family": "netdev", "table": "foreign", "name": "i", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0, "policy": "accept"}},
{"something new": {"family": "inet"}}]}`;

test('chains are listed with their hook and the number of their rules', () => {
  const { chains, tables } = readListing(printed);
  assert.deepEqual(tables, [
    { family: 'inet', name: 'postern' },
    { family: 'netdev', name: 'foreign' },
  ]);
  assert.deepEqual(chains, [
    { family: 'inet', table: 'postern', name: 'side', rules: 0 },
    { family: 'inet', table: 'postern', name: 'in', base: 'filter input -5', policy: 'drop', rules: 2 },
    { family: 'netdev', table: 'foreign', name: 'i', base: 'filter ingress 0', policy: 'accept', rules: 0 },
  ]);
});

test('elements are read in every shape that nft prints', () => {
  const { sets } = readListing(printed);
  const byName = Object.fromEntries(sets.map((set) => [set.name, set]));
  assert.deepEqual(byName.s, {
    family: 'inet',
    table: 'postern',
    name: 's',
    kind: 'set',
    key: ['ipv4_addr', 'inet_service'],
    flags: ['timeout'],
    size: 100,
    timeoutMs: 1000,
  });
  assert.deepEqual(byName.s2?.elements, [
    { value: '10.9.0.1' },
    { value: { range: ['1.2.3.4', '1.2.3.9'] } },
    {
      value: { prefix: { addr: '10.0.0.0', len: 8 } },
      timeoutMs: 3_600_000,
      expiresMs: 3_598_000,
      comment: 'a',
      counter: { packets: 3n, bytes: 84n },
    },
  ]);
  assert.deepEqual(byName.s3?.elements, [{ value: '0x13426974546f7273' }, { value: { concat: ['10.0.0.1', 22] } }]);
  assert.deepEqual(byName.m?.elements, [
    { value: '10.0.0.1', data: { jump: { target: 'side' } } },
    { value: '10.0.0.2', comment: 'x', data: { drop: null } },
  ]);
});

test('counts are exact beyond 2^53 and never negative', () => {
  const counter = readListing(printed).objects.find(({ name }) => name === 'c');
  assert.equal(counter?.packets, 9007199254740993n);
  assert.equal(counter?.bytes, 2n ** 64n - 1n);
});

test('only what lies in our tables is present', () => {
  const presence = presenceOf(readListing(printed), [{ family: 'inet', name: 'postern' }]);
  assert.deepEqual([...presence.tables], ['inet postern']);
  assert.deepEqual(
    [...presence.chains],
    [
      ['inet postern side', { base: '', rules: 0 }],
      ['inet postern in', { base: 'filter input -5', policy: 'drop', rules: 2 }],
    ],
  );
  assert.deepEqual(
    [...presence.sets.keys()],
    ['inet postern s', 'inet postern s2', 'inet postern s3', 'inet postern m'],
  );
  assert.equal(presence.sets.get('inet postern m'), 'map');
  assert.deepEqual(Object.fromEntries(presence.objects), {
    'inet postern limit l1': 'over 10485760 bytes second 524288',
    'inet postern limit l2': 'until 5 packets minute 5',
    'inet postern quota q': '',
    'inet postern counter c': '',
    'inet postern ct helper h': 'ftp tcp',
    'inet postern ct timeout t': 'tcp [["close",4],["established",100]]',
  });
});

test('a listing that is none says so', () => {
  for (const text of ['', 'nonsense', '{}', '[]', '{"nftables": 1}', '{"nftables": [{"table": {"name": 1}}]}']) {
    assert.throws(() => readListing(text), { name: 'PosternError', code: 'kernel' });
  }
});

test('integers of any size come back as they were written, and strings are left alone', () => {
  fc.assert(
    fc.property(
      fc.bigInt(),
      fc.string(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      (integer, text, double) => {
        const json = `{"a": ${integer}, "b": [${JSON.stringify(text)}], "c": ${JSON.stringify(double)}}`;
        const safe = Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
        const parsed = parseExact(json) as { a: unknown; b: unknown; c: unknown };
        assert.deepEqual(parsed.a, safe);
        if (!/^\0-?\d+$/.test(text)) assert.deepEqual(parsed.b, [text]);
        if (!/^-?\d+$/.test(JSON.stringify(double))) assert.equal(parsed.c, JSON.parse(JSON.stringify(double)));
      },
    ),
  );
});
