/**
 * Every construct of the model beside the text that it becomes. The renderer's test compares the text; the kernel's
 * test loads each one. `surroundings` holds what the statements refer to.
 */

import * as b from '../../src/nft/build.js';
import type { Chain, NamedObject, NftSet, Statement, Table } from '../../src/nft/model.js';

export interface Construct {
  readonly text: string;
  readonly statements: readonly Statement[];
  /** Where the rule stands when not in `inet … hook input`. */
  readonly in?: 'prerouting' | 'forward' | 'postrouting' | 'srcnat' | 'dstnat' | 'ingress' | 'ip';
}

export const statements: readonly Construct[] = [
  // Header fields
  { text: 'ip saddr 192.0.2.1', statements: [b.match(b.ip('saddr'), '192.0.2.1')] },
  { text: 'ip6 daddr != 2001:db8::/32', statements: [b.matchNot(b.ip6('daddr'), b.prefix('2001:db8::', 32))] },
  {
    text: 'tcp dport { 22, 80, 1000-2000 }',
    statements: [b.match(b.tcp('dport'), b.oneOf([22, 80, b.range(1000, 2000)]))],
  },
  { text: 'tcp dport 22', statements: [b.match(b.tcp('dport'), b.oneOf([b.range(22, 22)]))] },
  { text: 'udp sport < 1024', statements: [b.match(b.udp('sport'), 1024, '<')] },
  { text: 'udp length >= 20', statements: [b.match(b.udp('length'), 20, '>=')] },
  {
    text: 'meta l4proto { tcp, udp } th dport 53',
    statements: [b.match(b.meta('l4proto'), b.oneOf(['tcp', 'udp'])), b.match(b.th('dport'), 53)],
  },
  { text: 'icmp type echo-request', statements: [b.match(b.payload('icmp', 'type'), 'echo-request')] },
  {
    text: 'icmpv6 type { nd-router-advert, 135 } ip6 hoplimit 255',
    statements: [
      b.match(b.payload('icmpv6', 'type'), b.oneOf(['nd-router-advert', 135])),
      b.match(b.ip6('hoplimit'), 255),
    ],
  },
  {
    text: 'tcp flags & (fin | syn | rst | ack) == syn',
    statements: [b.matchBits(b.tcp('flags'), b.or('fin', 'syn', 'rst', 'ack'), 'syn')],
  },
  {
    text: 'tcp flags & (fin | syn | rst) == { fin, rst }',
    statements: [b.matchBits(b.tcp('flags'), b.or('fin', 'syn', 'rst'), b.oneOf(['fin', 'rst']))],
  },
  { text: 'tcp flags == syn', statements: [b.match(b.tcp('flags'), 'syn')] },
  { text: 'tcp flags syn,ack', statements: [b.matchAny(b.tcp('flags'), ['syn', 'ack'])] },
  { text: 'ip frag-off & 0x1fff != 0x0', statements: [b.matchBits(b.ip('frag-off'), 0x1fff, 0, '!=')] },
  {
    text: 'ether saddr 02:00:00:00:00:01',
    statements: [b.match(b.ether('saddr'), '02:00:00:00:00:01')],
    in: 'prerouting',
  },
  { text: 'exthdr frag exists', statements: [b.match({ exthdr: { name: 'frag' } }, true)] },
  { text: 'frag more-fragments 1', statements: [b.match({ exthdr: { name: 'frag', field: 'more-fragments' } }, 1)] },
  { text: 'ip option rr missing', statements: [b.match(b.ipOption('rr'), false)] },
  { text: 'tcp option maxseg exists', statements: [b.match(b.tcpOption('maxseg'), true)] },
  {
    text: 'tcp option maxseg size > 1400 tcp option maxseg size set 1400',
    statements: [b.match(b.tcpOption('maxseg', 'size'), 1400, '>'), b.mangle(b.tcpOption('maxseg', 'size'), 1400)],
  },

  // Raw bits
  { text: '@nh,0,4 0x4', statements: [b.match(b.raw('nh', 0, 4), 4)] },
  {
    text: 'meta l4proto udp @ih,0,32 @ps_sig',
    statements: [b.match(b.meta('l4proto'), 'udp'), b.match(b.raw('ih', 0, 32), '@ps_sig')],
  },
  { text: '@th,288,24 0x5056', statements: [b.match(b.raw('th', 288, 24), 0x5056)] },
  {
    text: '@ih,0,128 0x13426974546f7272656e742070726f74',
    statements: [b.match(b.raw('ih', 0, 128), '0x13426974546f7272656e742070726f74')],
  },
  { text: '@ll,48,32 set @nh,96,32', statements: [b.mangle(b.raw('ll', 48, 32), b.raw('nh', 96, 32))], in: 'ingress' },
  {
    text: 'meta mark set ((@nh,128,32 << 1) >> 1) & 0xffff | 0x10000',
    statements: [
      b.mangle(b.meta('mark'), b.or(b.and(b.shiftRight(b.shiftLeft(b.raw('nh', 128, 32), 1), 1), 0xffff), 0x10000)),
    ],
  },

  // What is known of the packet
  { text: 'iifname "eth0"', statements: [b.match(b.meta('iifname'), 'eth0')] },
  { text: 'iifname { "eth0", "ppp*" }', statements: [b.match(b.meta('iifname'), b.oneOf(['eth0', 'ppp*']))] },
  { text: 'oifname != "wan"', statements: [b.matchNot(b.meta('oifname'), 'wan')], in: 'forward' },
  { text: 'iif "lo"', statements: [b.match(b.meta('iif'), 'lo')] },
  { text: 'meta nfproto ipv6', statements: [b.match(b.meta('nfproto'), 'ipv6')] },
  { text: 'meta nfproto @ps_condition', statements: [b.match(b.meta('nfproto'), b.setRef('ps_condition'))] },
  { text: 'meta mark & 0xff00 == 0x1200', statements: [b.matchBits(b.meta('mark'), 0xff00, 0x1200)] },
  { text: 'meta mark 0x7', statements: [b.match(b.meta('mark'), 7)] },
  { text: 'meta pkttype != host accept', statements: [b.matchNot(b.meta('pkttype'), 'host'), b.accept], in: 'ingress' },
  { text: 'meta skuid { 0, 1000-1999 }', statements: [b.match(b.meta('skuid'), b.oneOf([0, b.range(1000, 1999)]))] },
  {
    text: 'ct state established,related accept',
    statements: [b.matchAny(b.ct('state'), ['established', 'related']), b.accept],
  },
  { text: 'ct state new', statements: [b.match(b.ct('state'), 'new')] },
  { text: 'ct status dnat', statements: [b.matchAny(b.ct('status'), ['dnat'])] },
  { text: 'ct direction original', statements: [b.match(b.ct('direction'), 'original')] },
  { text: 'ct original packets < 9', statements: [b.match(b.ct('packets', 'original'), 9, '<')] },
  { text: 'ct original ip saddr 192.0.2.1', statements: [b.match(b.ct('saddr', 'original', 'ip'), '192.0.2.1')] },
  {
    text: 'fib saddr type local drop',
    statements: [b.match(b.fib(['saddr'], 'type'), 'local'), b.drop],
    in: 'prerouting',
  },
  { text: 'fib daddr . iif type local', statements: [b.match(b.fib(['daddr', 'iif'], 'type'), 'local')] },
  {
    text: 'fib saddr . iif oif missing drop',
    statements: [b.match(b.fib(['saddr', 'iif'], 'oif'), false), b.drop],
    in: 'prerouting',
  },
  { text: 'rt mtu > 1400', statements: [b.match(b.rt('mtu'), 1400, '>')], in: 'postrouting' },
  { text: 'socket transparent 1', statements: [b.match({ socket: { key: 'transparent' } }, 1)] },
  {
    text: 'ip hdrlength . tcp doff . ip length @ps_len',
    statements: [b.match(b.concat(b.ip('hdrlength'), b.tcp('doff'), b.ip('length')), '@ps_len')],
  },
  {
    text: 'iifname . ip saddr { "eth0" . 192.0.2.1, "eth1" . 192.0.2.0/24 }',
    statements: [
      b.match(
        b.concat(b.meta('iifname'), b.ip('saddr')),
        b.oneOf([b.concat('eth0', '192.0.2.1'), b.concat('eth1', b.prefix('192.0.2.0', 24))]),
      ),
    ],
  },

  // Marks and other changes
  { text: 'ct mark set ct mark | 0x100', statements: [b.setMarkBits('ct', 0x100, 0x100)] },
  { text: 'ct mark set ct mark & 0xfffffff0 | 0x3', statements: [b.setMarkBits('ct', 0xf, 3)] },
  { text: 'meta mark set meta mark & 0xffffff00', statements: [b.setMarkBits('meta', 0xff, 0)] },
  { text: 'meta mark set 0x12', statements: [b.setMarkBits('meta', 0xffffffff, 0x12)] },
  {
    text: 'ip saddr set ip saddr & 0.0.0.255 | 10.50.1.0',
    statements: [b.mangle(b.ip('saddr'), b.or(b.and(b.ip('saddr'), '0.0.0.255'), '10.50.1.0'))],
  },
  { text: 'ip6 hoplimit set 64', statements: [b.mangle(b.ip6('hoplimit'), 64)] },
  { text: 'tcp ackseq set tcp ackseq ^ 0x3', statements: [b.mangle(b.tcp('ackseq'), b.xor(b.tcp('ackseq'), 3))] },
  {
    text: 'tcp sequence set numgen random mod 2147483647',
    statements: [b.mangle(b.tcp('sequence'), b.numgen('random', 2147483647))],
  },
  { text: 'tcp flags set syn | ack', statements: [b.mangle(b.tcp('flags'), b.or('syn', 'ack'))] },
  {
    text: 'ether saddr set iifname map @ps_mac',
    statements: [b.mangle(b.ether('saddr'), b.lookup(b.meta('iifname'), 'ps_mac'))],
    in: 'ingress',
  },
  {
    text: 'meta mark set ip saddr map { 192.0.2.1 : 0x1, 192.0.2.2 : 0x2 }',
    statements: [
      b.mangle(
        b.meta('mark'),
        b.lookup(b.ip('saddr'), [
          ['192.0.2.1', 1],
          ['192.0.2.2', 2],
        ]),
      ),
    ],
  },
  { text: 'meta priority set 1:30', statements: [b.mangle(b.meta('priority'), '1:30')] },
  { text: 'reset tcp option timestamp', statements: [b.resetTcpOption('timestamp')], in: 'ingress' },
  { text: 'notrack', statements: [b.notrack], in: 'prerouting' },
  { text: 'ct helper set "ps_ftp"', statements: [b.ctHelper('ps_ftp')] },
  { text: 'ct timeout set "ps_quick"', statements: [b.ctTimeout('ps_quick')], in: 'prerouting' },

  // Counting and limiting
  { text: 'counter', statements: [b.counter()] },
  { text: 'counter name "ps_hits"', statements: [b.counter('ps_hits')] },
  { text: 'quota name "ps_guest" drop', statements: [b.quota('ps_guest'), b.drop] },
  {
    text: 'quota over 500 bytes used 20 bytes drop',
    statements: [b.quota({ bytes: 500, used: 20, inv: true }), b.drop],
  },
  { text: 'quota name meta nfproto map @ps_quotas', statements: [b.quotaByMap(b.meta('nfproto'), 'ps_quotas')] },
  { text: 'limit rate 15/second burst 5 packets', statements: [b.limit({ rate: 15, per: 'second', burst: 5 })] },
  {
    text: 'limit rate over 10 mbytes/second burst 512 mbytes drop',
    statements: [b.limit({ rate: 10, per: 'second', unit: 'mbytes', burst: 512, inv: true }), b.drop],
  },
  { text: 'limit rate 1/week', statements: [b.limit({ rate: 1, per: 'week' })] },
  { text: 'limit name "ps_slow"', statements: [b.limit('ps_slow')] },
  { text: 'ct count over 5 reject', statements: [b.ctCount(5, true), { reject: { type: 'icmpx' } }] },

  // Sets and maps
  { text: 'ip saddr @ps_hosts drop', statements: [b.match(b.ip('saddr'), b.setRef('ps_hosts')), b.drop] },
  { text: 'ip saddr != @ps_hosts', statements: [b.matchNot(b.ip('saddr'), b.setRef('ps_hosts'))] },
  { text: 'add @ps_hosts { ip saddr }', statements: [b.addTo('ps_hosts', b.ip('saddr'))] },
  {
    text: 'update @ps_hosts { ip saddr timeout 300ms }',
    statements: [b.update('ps_hosts', b.ip('saddr'), { timeoutMs: 300 })],
  },
  { text: 'delete @ps_hosts { ip saddr }', statements: [b.deleteFrom('ps_hosts', b.ip('saddr'))] },
  {
    text: 'update @ps_rates { ip saddr timeout 5s limit rate over 1/week burst 14 packets } drop',
    statements: [
      b.update('ps_rates', b.ip('saddr'), {
        timeoutMs: 5000,
        stmt: [b.limit({ rate: 1, per: 'week', burst: 14, inv: true })],
      }),
      b.drop,
    ],
  },
  {
    text: 'add @ps_conns { ip saddr ct count over 2 } drop',
    statements: [b.addTo('ps_conns', b.ip('saddr'), { stmt: [b.ctCount(2, true)] }), b.drop],
  },
  {
    text: 'add @ps_pairs { ip saddr . th dport timeout 1m counter }',
    statements: [
      b.match(b.meta('l4proto'), 'tcp'),
      b.addTo('ps_pairs', b.concat(b.ip('saddr'), b.th('dport')), { timeoutMs: 60_000, stmt: [b.counter()] }),
    ].slice(1),
  },
  {
    text: 'update @ps_marks { ct id timeout 10s : meta mark }',
    statements: [b.updateMap('ps_marks', b.ct('id'), b.meta('mark'), 10_000)],
  },
  {
    text: 'ip6 saddr & ffff:ffff:ffff:ffff:: @ps_nets6',
    statements: [b.match(b.and(b.ip6('saddr'), 'ffff:ffff:ffff:ffff::'), '@ps_nets6')],
  },
  {
    text: 'tcp dport vmap { 22 : jump side, 80-81 : accept, 443 : goto side }',
    statements: [
      b.vmap(b.tcp('dport'), [
        [22, b.jump('side')],
        [b.range(80, 81), b.accept],
        [443, b.goto('side')],
      ]),
    ],
  },
  { text: 'ip saddr vmap @ps_verdicts', statements: [b.vmap(b.ip('saddr'), 'ps_verdicts')] },
  {
    text: 'numgen random mod 10000 vmap { 0-99 : drop, 100-9999 : continue }',
    statements: [
      b.vmap(b.numgen('random', 10000), [
        [b.range(0, 99), b.drop],
        [b.range(100, 9999), b.continueVerdict],
      ]),
    ],
  },
  {
    text: 'jhash ip saddr . tcp dport mod 10 seed 0xdeadbeef vmap { 0-9 : drop }',
    statements: [b.vmap(b.jhash(b.concat(b.ip('saddr'), b.tcp('dport')), 10, 0xdeadbeef), [[b.range(0, 9), b.drop]])],
  },
  { text: 'iifname vmap { "eth0" : jump side }', statements: [b.vmap(b.meta('iifname'), [['eth0', b.jump('side')]])] },
  { text: 'numgen inc mod 100 < 40', statements: [b.match(b.numgen('inc', 100), 40, '<')] },

  // Verdicts and answers
  { text: 'jump side', statements: [b.jump('side')] },
  { text: 'return', statements: [b.returnVerdict] },
  { text: 'reject', statements: [{ reject: { type: 'icmpx' } }] },
  { text: 'meta l4proto tcp reject with tcp reset', statements: [b.match(b.meta('l4proto'), 'tcp'), b.rejectTcpReset] },
  { text: 'reject with icmpx type admin-prohibited', statements: [b.reject('icmpx', 'admin-prohibited')] },
  { text: 'reject with icmp type host-unreachable', statements: [b.reject('icmp', 'host-unreachable')] },
  { text: 'reject with icmpv6 type port-unreachable', statements: [b.reject('icmpv6', 'port-unreachable')] },
  {
    text: 'log prefix "ps: new " group 5 snaplen 64 queue-threshold 1',
    statements: [b.log({ prefix: 'ps: new ', group: 5, snaplen: 64, queueThreshold: 1 })],
  },
  { text: 'log prefix "LOGMARK " level info', statements: [b.log({ prefix: 'LOGMARK ', level: 'info' })] },
  {
    text: 'tcp dport 2000 synproxy mss 1460 wscale 7 timestamp sack-perm',
    statements: [
      b.match(b.tcp('dport'), 2000),
      b.synproxy({ mss: 1460, wscale: 7, flags: ['timestamp', 'sack-perm'] }),
    ],
  },
  { text: 'fwd to iif', statements: [b.fwd(b.meta('iif'))], in: 'ingress' },
  { text: 'fwd to "lo"', statements: [b.fwd('lo')], in: 'ingress' },
  {
    text: 'fwd ip to 192.0.2.1 device "lo"',
    statements: [{ fwd: { dev: 'lo', family: 'ip', addr: '192.0.2.1' } }],
    in: 'ingress',
  },
  { text: 'dup to "lo"', statements: [{ dup: { dev: 'lo' } }], in: 'ingress' },
  { text: 'dup to 192.0.2.1 device "lo"', statements: [b.dup('192.0.2.1', 'lo')], in: 'ip' },
  { text: 'dup to 192.0.2.1', statements: [b.dup('192.0.2.1')], in: 'ip' },

  // Translation
  { text: 'masquerade', statements: [b.masquerade()], in: 'srcnat' },
  {
    text: 'meta l4proto tcp masquerade to :20000-20003 random',
    statements: [b.match(b.meta('l4proto'), 'tcp'), b.masquerade({ port: b.range(20000, 20003), flags: ['random'] })],
    in: 'srcnat',
  },
  {
    text: 'snat ip to 198.51.100.1-198.51.100.4 persistent',
    statements: [b.snat({ family: 'ip', addr: b.range('198.51.100.1', '198.51.100.4'), flags: ['persistent'] })],
    in: 'srcnat',
  },
  {
    text: 'udp dport 53 snat ip6 to [2001:db8::1]:1000-2000 fully-random,persistent',
    statements: [
      b.match(b.udp('dport'), 53),
      b.snat({ family: 'ip6', addr: '2001:db8::1', port: b.range(1000, 2000), flags: ['fully-random', 'persistent'] }),
    ],
    in: 'srcnat',
  },
  {
    text: 'snat ip6 to 2001:db8::1-2001:db8::4',
    statements: [b.snat({ family: 'ip6', addr: b.range('2001:db8::1', '2001:db8::4') })],
    in: 'srcnat',
  },
  {
    text: 'tcp dport 80 dnat ip6 to [2001:db8::1]-[2001:db8::4]:8080',
    statements: [
      b.match(b.tcp('dport'), 80),
      b.dnat({ family: 'ip6', addr: b.range('2001:db8::1', '2001:db8::4'), port: 8080 }),
    ],
    in: 'dstnat',
  },
  {
    text: 'tcp dport 6667 dnat ip to 192.0.2.2:6668',
    statements: [b.match(b.tcp('dport'), 6667), b.dnat({ family: 'ip', addr: '192.0.2.2', port: 6668 })],
    in: 'dstnat',
  },
  {
    text: 'dnat ip to tcp dport map { 8000 : 192.0.2.2 . 2000, 8001 : 192.0.2.2 . 2001 }',
    statements: [
      b.dnat({
        family: 'ip',
        addr: b.lookup(b.tcp('dport'), [
          [8000, b.concat('192.0.2.2', 2000)],
          [8001, b.concat('192.0.2.2', 2001)],
        ]),
      }),
    ],
    in: 'dstnat',
  },
  {
    text: 'dnat ip to numgen inc mod 2 map { 0 : 192.0.2.2, 1 : 192.0.2.3 }',
    statements: [
      b.dnat({
        family: 'ip',
        addr: b.lookup(b.numgen('inc', 2), [
          [0, '192.0.2.2'],
          [1, '192.0.2.3'],
        ]),
      }),
    ],
    in: 'dstnat',
  },
  {
    text: 'tcp dport 80 dnat ip to jhash ip saddr mod 2 map { 0 : 192.0.2.2, 1 : 192.0.2.3 } :8080',
    statements: [
      b.match(b.tcp('dport'), 80),
      b.dnat({
        family: 'ip',
        addr: b.lookup(b.jhash(b.ip('saddr'), 2), [
          [0, '192.0.2.2'],
          [1, '192.0.2.3'],
        ]),
        port: 8080,
      }),
    ],
    in: 'dstnat',
  },
  {
    text: 'dnat ip prefix to ip daddr map { 203.0.113.0/28 : 192.0.2.0/28 }',
    statements: [
      b.dnat({
        family: 'ip',
        prefix: true,
        addr: b.lookup(b.ip('daddr'), [[b.prefix('203.0.113.0', 28), b.prefix('192.0.2.0', 28)]]),
      }),
    ],
    in: 'dstnat',
  },
  {
    text: 'dnat ip to ip daddr map @ps_inside',
    statements: [b.dnat({ family: 'ip', addr: b.lookup(b.ip('daddr'), 'ps_inside') })],
    in: 'dstnat',
  },
  {
    text: 'tcp dport 25 redirect to :8025',
    statements: [b.match(b.tcp('dport'), 25), b.redirect({ port: 8025 })],
    in: 'dstnat',
  },
];

/** Sets beside the lines of their text. */
export const sets: readonly { readonly set: NftSet; readonly text: string }[] = [
  {
    set: {
      name: 'ps_hosts',
      key: { type: ['ipv4_addr'] },
      flags: ['dynamic', 'timeout'],
      size: 65536,
      timeoutMs: 86_400_000,
    },
    text: 'set ps_hosts {\n  type ipv4_addr\n  flags dynamic,timeout\n  timeout 1d\n  size 65536\n}',
  },
  {
    set: {
      name: 'ps_bans',
      key: { type: ['ipv4_addr'] },
      flags: ['interval', 'timeout'],
      counter: true,
      comment: 'hits per ban',
      gcIntervalMs: 1500,
      elements: [
        { value: '192.0.2.1', timeoutMs: 3_600_000, expiresMs: 3_598_250, comment: 'ssh 6/3' },
        { value: { prefix: { addr: '203.0.113.0', len: 24 } }, counter: { packets: 3n, bytes: 84n } },
        { value: { range: ['198.51.100.1', '198.51.100.9'] } },
      ],
    },
    text: [
      'set ps_bans {',
      '  type ipv4_addr',
      '  flags interval,timeout',
      '  counter',
      '  gc-interval 1s500ms',
      '  comment "hits per ban"',
      '  elements = {',
      '    192.0.2.1 timeout 1h expires 59m58s250ms comment "ssh 6/3",',
      '    203.0.113.0/24 counter packets 3 bytes 84, 198.51.100.1-198.51.100.9',
      '  }',
      '}',
    ].join('\n'),
  },
  {
    set: { name: 'ps_sig', key: { typeof: [b.raw('ih', 0, 32)] }, flags: [], elements: [{ value: 0x474e5554 }] },
    text: 'set ps_sig {\n  typeof @ih,0,32\n  elements = {\n    0x474e5554\n  }\n}',
  },
  {
    set: {
      name: 'ps_condition',
      key: { type: ['nf_proto'] },
      flags: [],
      elements: [{ value: 'ipv4' }, { value: 'ipv6' }],
    },
    text: 'set ps_condition {\n  type nf_proto\n  elements = {\n    ipv4, ipv6\n  }\n}',
  },
  {
    set: {
      name: 'ps_len',
      key: { typeof: [b.ip('hdrlength'), b.tcp('doff'), b.ip('length')] },
      flags: ['interval'],
      elements: [{ value: b.concat(5, 5, b.range(140, 240)) }],
    },
    text: 'set ps_len {\n  typeof ip hdrlength . tcp doff . ip length\n  flags interval\n  elements = {\n    5 . 5 . 140-240\n  }\n}',
  },
  {
    set: {
      name: 'ps_ifs',
      key: { type: ['ifname'] },
      flags: ['interval'],
      elements: [{ value: 'eth0' }, { value: 'ppp*' }],
    },
    text: 'set ps_ifs {\n  type ifname\n  flags interval\n  elements = {\n    "eth0", "ppp*"\n  }\n}',
  },
  {
    set: { name: 'ps_rates', key: { type: ['ipv4_addr'] }, flags: ['dynamic', 'timeout'], size: 1024 },
    text: 'set ps_rates {\n  type ipv4_addr\n  flags dynamic,timeout\n  size 1024\n}',
  },
  {
    set: { name: 'ps_conns', key: { type: ['ipv4_addr'] }, flags: ['dynamic'], size: 1024 },
    text: 'set ps_conns {\n  type ipv4_addr\n  flags dynamic\n  size 1024\n}',
  },
  {
    set: {
      name: 'ps_pairs',
      key: { typeof: [b.ip('saddr'), b.th('dport')] },
      flags: ['dynamic', 'timeout'],
      size: 1024,
    },
    text: 'set ps_pairs {\n  typeof ip saddr . th dport\n  flags dynamic,timeout\n  size 1024\n}',
  },
  {
    set: { name: 'ps_nets6', key: { type: ['ipv6_addr'] }, flags: [], elements: [{ value: '*' }].slice(1) },
    text: 'set ps_nets6 {\n  type ipv6_addr\n}',
  },
  {
    set: {
      name: 'ps_mac',
      key: { type: ['ifname'] },
      data: { type: ['ether_addr'] },
      flags: [],
      elements: [{ value: 'eth0', data: '02:00:00:00:01:02' }],
    },
    text: 'map ps_mac {\n  type ifname : ether_addr\n  elements = {\n    "eth0" : 02:00:00:00:01:02\n  }\n}',
  },
  {
    set: {
      name: 'ps_marks',
      key: { typeof: [b.ct('id')] },
      data: { typeof: [b.meta('mark')] },
      flags: ['dynamic', 'timeout'],
      size: 65535,
    },
    text: 'map ps_marks {\n  typeof ct id : meta mark\n  flags dynamic,timeout\n  size 65535\n}',
  },
  {
    set: {
      name: 'ps_quotas',
      key: { type: ['nf_proto'] },
      data: { type: ['quota'] },
      flags: [],
      elements: [
        { value: 'ipv4', data: 'ps_guest' },
        { value: 'ipv6', data: 'ps_guest' },
      ],
    },
    text: 'map ps_quotas {\n  type nf_proto : quota\n  elements = {\n    ipv4 : "ps_guest", ipv6 : "ps_guest"\n  }\n}',
  },
  {
    set: {
      name: 'ps_verdicts',
      key: { type: ['ipv4_addr'] },
      data: { type: ['verdict'] },
      flags: ['interval'],
      elements: [
        { value: { prefix: { addr: '10.1.0.0', len: 16 } }, data: b.goto('side') },
        { value: '192.0.2.1', comment: 'one', data: b.drop },
      ],
    },
    text: [
      'map ps_verdicts {',
      '  type ipv4_addr : verdict',
      '  flags interval',
      '  elements = {',
      '    10.1.0.0/16 : goto side, 192.0.2.1 comment "one" : drop',
      '  }',
      '}',
    ].join('\n'),
  },
  {
    set: { name: 'ps_inside', key: { type: ['ipv4_addr'] }, data: { type: ['ipv4_addr'] }, flags: [] },
    text: 'map ps_inside {\n  type ipv4_addr : ipv4_addr\n}',
  },
];

export const objects: readonly { readonly object: NamedObject; readonly text: string }[] = [
  { object: { kind: 'counter', name: 'ps_hits' }, text: 'counter ps_hits { }' },
  {
    object: { kind: 'counter', name: 'ps_noted', comment: 'as said' },
    text: 'counter ps_noted {\n  comment "as said"\n}',
  },
  {
    object: { kind: 'quota', name: 'ps_guest', bytes: 10_737_418_240, inv: true },
    text: 'quota ps_guest {\n  over 10737418240 bytes\n}',
  },
  {
    object: { kind: 'quota', name: 'ps_part', bytes: 1000, used: 250 },
    text: 'quota ps_part {\n  1000 bytes used 250 bytes\n}',
  },
  {
    object: { kind: 'limit', name: 'ps_slow', rate: 5, per: 'minute', burst: 5 },
    text: 'limit ps_slow {\n  rate 5/minute burst 5 packets\n}',
  },
  {
    object: { kind: 'ct helper', name: 'ps_ftp', type: 'ftp', protocol: 'tcp' },
    text: 'ct helper ps_ftp {\n  type "ftp" protocol tcp;\n}',
  },
  {
    object: {
      kind: 'ct timeout',
      name: 'ps_quick',
      protocol: 'tcp',
      l3proto: 'ip',
      policy: { established: 100, close: 4 },
    },
    text: 'ct timeout ps_quick {\n  protocol tcp;\n  l3proto ip\n  policy = { established : 100, close : 4 }\n}',
  },
];

const hooks: Readonly<Record<NonNullable<Construct['in']> | 'input', Chain['base']>> = {
  input: { type: 'filter', hook: 'input', priority: 0 },
  prerouting: { type: 'filter', hook: 'prerouting', priority: -300 },
  forward: { type: 'filter', hook: 'forward', priority: 0 },
  postrouting: { type: 'filter', hook: 'postrouting', priority: 300 },
  srcnat: { type: 'nat', hook: 'postrouting', priority: 100 },
  dstnat: { type: 'nat', hook: 'prerouting', priority: -100 },
  ingress: { type: 'filter', hook: 'ingress', priority: -10, devices: ['lo'], policy: 'accept' },
  ip: { type: 'filter', hook: 'prerouting', priority: -150 },
};

/** A table in which the construct can be loaded. */
export function tableWith(construct: Construct): Table {
  const place = construct.in ?? 'input';
  return {
    family: place === 'ingress' ? 'netdev' : place === 'ip' ? 'ip' : 'inet',
    name: 'ps',
    objects: place === 'ingress' ? [] : objects.map(({ object }) => object),
    sets: sets.map(({ set }) => set).filter((set) => place !== 'ingress' || set.name === 'ps_mac'),
    chains: [
      { name: 'base', base: hooks[place]!, rules: [{ statements: construct.statements }] },
      { name: 'side', rules: [] },
    ],
  };
}
