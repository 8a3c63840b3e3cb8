/** Policies for the situations of the FreeBSD handbook's chapter on firewalls, in the order of the chapter. */

export interface Sample {
  readonly title: string;
  readonly text: string;
}

export const handbookPolicies: readonly Sample[] = [
  { title: 'everything out, nothing in', text: 'chains:\n  input: { policy: drop }\n' },
  {
    title: 'lists of service names in macros, one direction and both',
    text: `
macros:
  tcp_out: [ssh, smtp, domain, www, pop3, ident, pop3s]
  udp_both: [domain]
chains:
  filter:
    policy: block
    rules:
      - { out: any, tcp: $tcp_out, do: accept }
      - { udp: $udp_both, do: accept }
`,
  },
  {
    title: 'a gateway between two networks that are named by their interfaces',
    text: `
macros: { ports: [ssh, domain], inner: lan:network }
chains:
  forward:
    policy: drop
    rules:
      - { in: lan, out: wan, from: lan:network, to: wan:network, port: $ports, do: accept }
      - { from: $inner, port: $ports, do: accept }          # the readable form
`,
  },
  {
    title: 'a gateway that masquerades',
    text: `
interfaces: { wan: eth0, lan: eth1 }
macros: { inner: lan:network }
nat:
  - { out: wan, family: ipv4, from: $inner, do: masquerade }
chains:
  filter:
    policy: block
    rules:
      - { from: $inner, do: accept }
`,
  },
  {
    title: 'services by name and number for the clients, ssh to the outside address',
    text: `
macros:
  clients: [ftp-data, ftp, ssh, domain, pop3, auth, nntp, http, https, cvspserver, 2628, 5999, 8000, 8080]
  both: [domain, ntp]
chains:
  filter:
    policy: block
    rules:
      - { port: $both, family: ipv4, do: accept }
      - { in: wan, to: wan:address, tcp: ssh, do: accept }
      - { from: lan:network, tcp: $clients, do: accept }
`,
  },
  {
    title: 'a helper on an accepting rule',
    text: 'chains: { forward: { rules: [ { in: lan, out: wan, tcp: ftp, helper: ftp, do: accept } ] } }',
  },
  { title: 'an ftp proxy', text: 'nat:\n  - { in: lan, tcp: ftp, do: [redirect to 8021, accept] }\n' },
  {
    title: 'ICMP, traceroute, path MTU',
    text: `
macros: { wanted: [echoreq, unreach] }
chains:
  filter:
    rules:
      - { family: ipv4, proto: icmp, do: accept }
      - { from: lan:network, icmp: any, do: accept }
      - { to: wan:address, icmp: any, do: accept }
      - { icmp: $wanted, do: accept }
      - { out: wan, udp: 33434-33625, do: accept }
      - { state: related, icmp: too-big, do: accept }
`,
  },
  {
    title: 'tables with exceptions and files',
    text: `
macros: { clients: [http, https] }
tables:
  clients: { entries: [192.0.2.0/24, not 192.0.2.3] }
  others: { file: lists/clients.txt }
chains:
  forward: { policy: drop, rules: [ { family: ipv4, from: <clients>, tcp: $clients, do: accept } ] }
`,
  },
  {
    title: 'overload',
    text: `
macros: { services: [http, https] }
tables: { bruteforce: { timeout: 1d, size: 65536 } }
chains:
  filter:
    policy: block
    rules:
      - { from: <bruteforce>, do: block }
      - { state: [established, related], do: accept }
      - { port: ssh, overload: { table: bruteforce, conns: 15, rate: 5/3s, flush: global }, do: accept }
      - { family: ipv4, to: lan:network, tcp: $services, overload: { table: bruteforce, conns: 100, rate: 15/5s }, do: accept }
      - { from: <bruteforce>, do: queue slow }
`,
  },
  {
    title: 'spamd: redirects that pass the filter, and whitening',
    text: `
tables: { spamd: { file: lists/spamd.txt }, spamd-white: { timeout: 36d } }
nat:
  - { in: wan, to: [wan:address, lan:network], tcp: smtp, from: <spamd>, do: [redirect to 8025, accept] }
  - { in: wan, to: [wan:address, lan:network], tcp: smtp, from: not <spamd-white>, do: [redirect to 8025, accept] }
chains:
  forward:
    rules:
      - { in: lan, out: wan, tcp: smtp, do: [add destination to <spamd-white> for 36d, accept] }
`,
  },
  { title: 'block that answers', text: 'block_policy: return\nchains: { input: { policy: block } }\n' },
  {
    title: 'scrub',
    text: `
scrub:
  - { in: any }
  - { in: any, no_df: true, max_mss: 1440 }
  - { out: wan, max_mss: fit, min_ttl: 64, random_id: true }
`,
  },
  { title: 'antispoof by interface', text: 'antispoof: [wan, lan]\n' },
  { title: 'antispoof by route', text: 'antispoof: { strict: true }\n' },
  {
    title: 'martians',
    text: `
tables: { martians: { builtin: martians, entries: [not 192.0.2.0/24] } }
chains:
  filter:
    rules:
      - { in: wan, from: <martians>, do: drop }
      - { out: wan, to: <martians>, do: drop }
`,
  },
  {
    title: 'queues',
    text: `
queues:
  wan: { rate: 20Mbit, classes: { std: { rate: 16Mbit, ceil: 20Mbit }, slow: { rate: 4Mbit, ceil: 4Mbit, default: true } } }
`,
  },
  {
    title: 'owners of sockets',
    text: `
chains:
  output:
    rules:
      - { out: wan, tcp: http, user: [not root, not 1000-1999], do: reject with tcp-reset }
      - { out: wan, tcp: https, group: nogroup, do: reject with tcp-reset }
`,
  },
  {
    title: 'a stateful host, in both directions',
    text: `
macros: { dns: [198.51.100.2, 2001:db8:2::2] }
tables: { reserved: { builtin: martians } }
chains:
  filter:
    policy: drop
    rules:
      - { via: [lan], do: accept }
      - { state: [established, related], do: accept }
      - { out: wan, to: $dns, port: domain, do: accept }
      - { out: wan, udp: 67, log: dhcp, do: accept }
      - { out: wan, tcp: [http, https, smtp, pop3, ssh], do: accept }
      - { out: wan, icmp: any, do: accept }
      - { out: wan, log: { name: out-denied, first: 5 }, do: drop }
      - { in: wan, from: <reserved>, do: drop }
      - { in: wan, fragment: true, do: drop }
      - { in: wan, tcp: [ident, 137-139, 81], do: drop }
      - { in: wan, flags: [A/A, R/R], do: drop }
      - { in: wan, to: me, tcp: http, conns: 2 per source, do: accept }
      - { log: { name: rest, first: 5 }, do: drop }
`,
  },
  {
    title: 'translation of private addresses only',
    text: `
macros: { services: [22, 25, 37, 53, 80, 443, 110] }
nat:
  - { out: wan, from: <private>, do: masquerade }
tables: { private: { builtin: rfc1918 } }
chains:
  forward:
    policy: drop
    rules:
      - { in: lan, out: wan, udp: [domain, 67], do: accept }
      - { in: lan, out: wan, tcp: $services, do: accept }
      - { in: lan, out: wan, icmp: any, do: accept }
      - { state: dnat, do: accept }
`,
  },
  {
    title: 'ports to inside hosts: one, shifted, a range, a pool',
    text: `
tables: { web: { entries: [192.0.2.7, 192.0.2.8] } }
nat:
  - { in: wan, to: wan:address, tcp: 6667, do: dnat to 192.0.2.2 }
  - { in: wan, to: wan:address, tcp: 2000-3000, do: dnat to 192.0.2.2 }
  - { in: wan, to: wan:address, tcp: 8000-8001, do: dnat to 192.0.2.2 port 2000-2001 }
  - { in: wan, to: 203.0.113.9, from: 198.51.100.3, tcp: 22, do: dnat to 192.0.2.2 }
  - { in: wan, to: wan:address, tcp: 80, do: dnat to <web> round-robin }
`,
  },
  {
    title: 'one-to-one maps of hosts and networks',
    text: `
nat:
  - { on: wan, do: map 192.0.2.2 to 203.0.113.2 }
  - { on: wan, do: map 192.0.2.0/28 to 203.0.113.0/28 }
  - { on: wan, do: map 2001:db8:1::/64 to 2001:db8:3::/64 }
  - { in: wan, to: wan:address, proto: gre, do: dnat to 192.0.2.2 }
`,
  },
  {
    title: 'logs with bounds',
    text: `
log: { group: 5, file: log/postern.pcap }
chains:
  input:
    rules:
      - { in: wan, log: { name: rest, first: 5, body: 128 }, do: drop }
      - { in: wan, log: { name: noisy, rate: 10/1m, per: source }, do: drop }
      - { in: wan, log: true, do: drop }
`,
  },
  {
    title: 'options, short packets, flags: the ipfilter host',
    text: `
macros: { dns: 198.51.100.2, dhcp: 198.51.100.3, web: 192.0.2.80 }
tables: { reserved: { builtin: martians } }
chains:
  filter:
    policy: drop
    rules:
      - { via: lan, do: accept }
      - { out: wan, to: $dns, port: domain, do: accept }
      - { out: wan, flags: S, tcp: [80, 443, 110, 25, 37, 21, 22], do: accept }
      - { out: wan, icmp: echo-request, do: accept }
      - { out: wan, log: { first: 1 }, do: drop }
      - { in: wan, short: true, do: drop }
      - { in: wan, ipv4options: { any: true }, do: drop }
      - { in: wan, flags: FUP, tcp: any, log: { name: xmas, first: 1 }, do: drop }
      - { in: wan, port: [81, 137-139], log: { first: 1 }, do: drop }
      - { in: wan, from: $dhcp, udp: 68, do: accept }
      - { in: wan, to: $web, flags: S, tcp: 80, do: accept }
      - { in: wan, log: { name: rest, first: 1 }, do: drop }
`,
  },
  {
    title: 'pools of addresses and ports',
    text: `
nat:
  - { out: wan, from: 192.0.2.0/25, do: snat to 203.0.113.16/28 sticky }
  - { out: wan, from: 192.0.2.0/24, proto: [tcp, udp], do: masquerade port 20000-60000 }
  - { out: wan, from: 192.0.2.0/24, do: masquerade }
  - { in: wan, to: 203.0.113.5, tcp: 80, do: dnat to 192.0.2.3 port 8080 }
  - { in: wan, family: ipv4, tcp: 80, do: dnat to 192.0.2.3 }
`,
  },
  {
    title: 'blacklistd',
    text: `
blacklistd: { socket: run/blacklistd.sock, config: blacklistd.conf, running: keep }
chains:
  input: { rules: [ { in: wan, banned: blacklistd, do: drop } ] }
`,
  },
  {
    title: 'words of extensions beside those of the core',
    text: `
version: 1
interfaces: { wan: eth0, lan: eth1 }
tables:
  bruteforce: { timeout: 1d, size: 100000 }
  scanners: { timeout: 10m }
  office: { file: lists/office.txt }
accounts: { sales: 192.168.1.0/24, all_outgoing: 0.0.0.0/0 }
quotas: { guest: { bytes: 10GiB } }
conditions: { maintenance: off }
knocks:
  ssh: { ports: [4002, 4001, 4004], strict: true, time: 10s, autoclose: 60m }
  ftp: { spa: 4000, open_secret: { file: /etc/postern/ftp.open }, close_secret: { file: /etc/postern/ftp.close } }
chains:
  ingress:
    on: wan
    rules:
      - { tcp: [23, 2323], do: tarpit }
  input:
    policy: drop
    rules:
      - { tcp: 22, knock: ssh, overload: { table: bruteforce, conns: 15, rate: 5/3s, flush: global }, do: accept }
      - { tcp: 25, from: not <office>, geoip: { from: [XA, XB] }, do: delude }
      - { psd: { weight_threshold: 30 }, do: [ add source to <scanners> for 10m, chaos ] }
      - { when: not maintenance, do: { chaos: { tarpit: true } } }
  forward:
    rules:
      - { do: [ account sales, account all_outgoing ] }
      - { in: lan, quota: guest, do: accept }
      - { do: tee to 192.0.2.9 }
pftabled: { listen: 0.0.0.0:56789, key: { file: /etc/postern/pftabled.key }, tables: [bruteforce], timeout: 6h }
api: { listen: unix:/run/postern/api.sock }
`,
  },
];
