/**
 * What Postern asks of nft and of the kernel's nf_tables: each feature as a piece of ruleset that `nft -c` accepts or not,
 * with what its lack means. Versions are those in which it came, for people; what counts is the trial.
 */

export interface RulesetFeature {
  readonly id: FeatureId;
  /** What it is, in a few words. */
  readonly title: string;
  /** Without it Postern does not start. */
  readonly required?: true;
  /** What a user loses without it. */
  readonly lack: string;
  /** Since which kernel and nft. */
  readonly since: string;
  /** Lines of a whole ruleset; tables are named `postern_probe`. */
  readonly text: readonly string[];
}

export type FeatureId =
  | 'sets'
  | 'counted-sets'
  | 'interval-sets'
  | 'concatenations'
  | 'concatenated-intervals'
  | 'named-objects'
  | 'ct-count'
  | 'element-statements'
  | 'maps'
  | 'numgen'
  | 'jhash'
  | 'fib'
  | 'arithmetic'
  | 'inner-payload'
  | 'options'
  | 'reset-tcp-option'
  | 'nat'
  | 'nat-prefix'
  | 'notrack'
  | 'ct-timeout'
  | 'synproxy'
  | 'nflog'
  | 'netdev-ingress'
  | 'netdev-reject'
  | 'netdev-dup'
  | 'inet-ingress'
  | 'netdev-egress'
  | 'destroy'
  | 'last';

/** A table with one chain at prerouting. */
function rules(...lines: readonly string[]): string[] {
  return inet('chain c {', 'type filter hook prerouting priority -300;', ...lines, '}');
}

function inet(...lines: readonly string[]): string[] {
  return ['table inet postern_probe {', ...lines, '}'];
}

function netdev(hook: string, ...lines: readonly string[]): string[] {
  return [
    'table netdev postern_probe {',
    'chain c {',
    `type filter hook ${hook} device "lo" priority -450;`,
    ...lines,
    '}',
    '}',
  ];
}

export const rulesetFeatures: readonly RulesetFeature[] = [
  {
    id: 'sets',
    title: 'sets with timeouts that rules add to',
    required: true,
    lack: 'nothing works',
    since: 'Linux 4.18, nft 0.9.3',
    text: inet(
      'set s { type ipv4_addr; size 16; flags dynamic,timeout; }',
      'chain c { add @s { ip saddr timeout 10s } drop; }',
    ),
  },
  {
    id: 'interval-sets',
    title: 'interval sets with timeouts',
    required: true,
    lack: 'tables can hold no prefixes',
    since: 'Linux 4.18, nft 0.9.3',
    text: inet('set s { type ipv6_addr; size 16; flags interval,timeout; elements = { 2001:db8::/32 timeout 1h } }'),
  },
  {
    id: 'named-objects',
    title: 'named counters, quotas and limits',
    required: true,
    lack: 'quotas and account totals are lost with every reload',
    since: 'Linux 4.18, nft 0.9.3',
    text: inet(
      'counter n { }',
      'quota q { over 10 mbytes }',
      'limit l { rate 10/second }',
      'chain c { counter name n quota name "q" limit name "l" drop; }',
    ),
  },
  {
    id: 'maps',
    title: 'verdict maps',
    required: true,
    lack: 'rules with many choices do not load',
    since: 'Linux 3.18, nft 0.8',
    text: inet('chain d { drop; }', 'chain c { tcp dport vmap { 22 : jump d, 23-25 : drop }; }'),
  },
  {
    id: 'counted-sets',
    title: 'sets whose elements count',
    lack: 'no accounting per address and no hit counts on bans',
    since: 'Linux 5.7, nft 0.9.5',
    text: inet('set s { type ipv4_addr; size 16; flags dynamic; counter; }', 'chain c { update @s { ip saddr }; }'),
  },
  {
    id: 'concatenations',
    title: 'sets of several values together',
    lack: 'port knocking, scan detection and rules on address and port together do not load',
    since: 'Linux 4.1, nft 0.7',
    text: inet(
      'set s { type ipv4_addr . inet_service; size 16; flags dynamic,timeout; }',
      'chain c { ip saddr . tcp dport @s drop; }',
    ),
  },
  {
    id: 'concatenated-intervals',
    title: 'intervals of several values together',
    lack: 'bans of a prefix on one port, length ranges per layer and country lists with ports do not load',
    since: 'Linux 5.6, nft 0.9.4',
    text: inet('set s { type ipv4_addr . inet_service; size 16; flags interval; elements = { 192.0.2.0/24 . 22-23 } }'),
  },
  {
    id: 'ct-count',
    title: 'limits on connections per address',
    lack: 'overload with conns: does not load',
    since: 'Linux 4.18, nft 0.9.0',
    text: inet(
      'set s { type ipv4_addr; size 16; flags dynamic; }',
      'chain c { add @s { ip saddr ct count over 5 } drop; }',
    ),
  },
  {
    id: 'element-statements',
    title: 'several statements on one element',
    lack: 'a quota per address can not be counted as well',
    since: 'Linux 5.11, nft 0.9.8',
    text: inet(
      'set s { type ipv4_addr; size 16; flags dynamic; }',
      'chain c { update @s { ip saddr counter quota over 500 bytes } drop; }',
    ),
  },
  {
    id: 'numgen',
    title: 'random choice',
    lack: 'chaos, fuzzy and random matches do not load',
    since: 'Linux 4.10, nft 0.9',
    text: rules('numgen random mod 100 < 10 drop'),
  },
  {
    id: 'jhash',
    title: 'choice by hash',
    lack: 'choices that are the same for every packet of a connection do not load',
    since: 'Linux 4.10, nft 0.9',
    text: rules('jhash ip saddr . tcp dport mod 100 seed 0xdeadbeef < 10 drop'),
  },
  {
    id: 'fib',
    title: 'questions to the routing table',
    lack: 'reverse path checks and interface addresses as matches do not load',
    since: 'Linux 4.10, nft 0.8',
    text: rules('fib daddr type local fib saddr . iif oif missing drop'),
  },
  {
    id: 'arithmetic',
    title: 'shifts and masks of header fields',
    lack: 'stateless address mapping (RAWNAT) and marks from addresses do not load',
    since: 'Linux 5.6, nft 0.9.4',
    text: rules('@nh,0,4 4 meta mark set (@nh,128,32 >> 8) & 0xff | 0x10000'),
  },
  {
    id: 'inner-payload',
    title: 'matches on payload behind TCP and UDP headers',
    lack: 'ipp2p does not load',
    since: 'Linux 5.16, nft 1.0.1',
    text: rules('meta l4proto tcp @ih,0,128 0x474e5554454c4c4120434f4e4e454354 drop'),
  },
  {
    id: 'options',
    title: 'matches on IPv4 options',
    lack: 'ipv4options does not load',
    since: 'Linux 5.3, nft 0.9.2',
    text: rules('ip option lsrr exists drop'),
  },
  {
    id: 'reset-tcp-option',
    title: 'removal of TCP options',
    lack: 'TCPOPTSTRIP-like actions do not load',
    since: 'Linux 5.18, nft 1.0.2',
    text: rules('tcp flags syn reset tcp option sack-perm'),
  },
  {
    id: 'nat',
    title: 'address translation in inet tables',
    lack: 'snat, dnat, masquerade and redirect do not load',
    since: 'Linux 5.2, nft 0.9.1',
    text: inet('chain c { type nat hook postrouting priority 100; masquerade; }'),
  },
  {
    id: 'nat-prefix',
    title: 'translation of a prefix to another, address by address',
    lack: 'netmap does not load',
    since: 'Linux 5.8, nft 0.9.5',
    text: [
      'table ip postern_probe {',
      'chain c {',
      'type nat hook postrouting priority 100;',
      'snat ip prefix to ip saddr map { 192.0.2.0/24 : 198.51.100.0/24 }',
      '}',
      '}',
    ],
  },
  {
    id: 'notrack',
    title: 'packets without connection tracking',
    lack: 'tarpits and reflectors take conntrack entries',
    since: 'Linux 4.9, nft 0.7',
    text: rules('notrack'),
  },
  {
    id: 'ct-timeout',
    title: 'timeouts of connections',
    lack: 'timeouts of states can not be set in the policy',
    since: 'Linux 4.19, nft 0.9.1',
    text: inet('ct timeout x {', 'protocol tcp;', 'l3proto ip;', 'policy = { established : 100 }', '}'),
  },
  {
    id: 'synproxy',
    title: 'SYN proxy',
    lack: 'tarpit and delude in input and forward answer by the packet worker only',
    since: 'Linux 5.3, nft 0.9.2',
    text: inet('chain c { type filter hook input priority 0; ct state invalid,untracked synproxy mss 1460 wscale 0; }'),
  },
  {
    id: 'nflog',
    title: 'copies of packets to a group',
    lack: 'everything that needs the daemon to see packets: knocks with passwords, exact scan scores, echo and probe answers',
    since: 'Linux 3.17, nft 0.4',
    text: rules('log group 5 prefix "p" snaplen 128 queue-threshold 1'),
  },
  {
    id: 'netdev-ingress',
    title: 'chains at a device, before everything else',
    lack: 'the stateless reflector (tarpit, delude, echo at ingress) does not load',
    since: 'Linux 4.2, nft 0.5',
    text: netdev('ingress', 'ip saddr 192.0.2.1 drop'),
  },
  {
    id: 'netdev-reject',
    title: 'reject at a device',
    lack: 'reject at ingress does not load',
    since: 'Linux 5.11, nft 0.9.9',
    text: netdev('ingress', 'tcp dport 23 reject with tcp reset'),
  },
  {
    id: 'netdev-dup',
    title: 'forwarding and copies at a device',
    lack: 'the stateless reflector (tarpit, delude, echo at ingress) does not load',
    since: 'Linux 4.10, nft 0.9',
    text: netdev('ingress', 'ip saddr 192.0.2.1 fwd to "lo"'),
  },
  {
    id: 'inet-ingress',
    title: 'ingress chains of inet tables',
    lack: 'ingress rules need tables of their own; Postern makes those',
    since: 'Linux 5.10, nft 0.9.7',
    text: inet('chain c { type filter hook ingress device "lo" priority -450; drop; }'),
  },
  {
    id: 'netdev-egress',
    title: 'chains at a device for what leaves',
    lack: 'DHCP MAC rewriting of what the host itself sends does not load',
    since: 'Linux 5.16, nft 1.0.1',
    text: netdev('egress', 'ip saddr 192.0.2.1 drop'),
  },
  {
    id: 'destroy',
    title: 'delete if present, in nft text',
    lack: 'no loss: Postern reads what is there and deletes exactly that',
    since: 'Linux 6.3, nft 1.0.7',
    text: ['destroy table inet postern_probe'],
  },
  {
    id: 'last',
    title: 'time of the last packet',
    lack: 'no loss: the daemon keeps it',
    since: 'Linux 5.14, nft 1.0.8',
    text: rules('last'),
  },
];
