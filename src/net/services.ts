/** Service names: the common ones of the IANA registry, and those that pf's and Debian's users write. */

export type PortProtocol = 'tcp' | 'udp';

export interface Service {
  readonly port: number;
  readonly name: string;
  readonly protocol: PortProtocol | 'both';
  readonly aliases: readonly string[];
}

/** One line a service: port, protocol, name, other names. */
const table = `
1 tcp tcpmux
7 both echo
9 both discard
11 tcp systat
13 both daytime
17 both qotd
19 both chargen
20 tcp ftp-data
21 tcp ftp
22 tcp ssh
23 tcp telnet
25 tcp smtp mail
37 both time
43 tcp whois nicname
49 both tacacs
53 both domain dns
67 udp bootps dhcps
68 udp bootpc dhcpc
69 udp tftp
70 tcp gopher
79 tcp finger
80 both http www
88 both kerberos kerberos-sec
109 tcp pop2
110 tcp pop3 pop-3
111 both sunrpc portmapper rpcbind
113 tcp auth ident
115 tcp sftp
119 tcp nntp
123 udp ntp
135 both epmap loc-srv
137 both netbios-ns
138 both netbios-dgm
139 both netbios-ssn
143 tcp imap imap2
161 both snmp
162 both snmptrap snmp-trap
179 tcp bgp
194 both irc
389 both ldap
443 both https
445 both microsoft-ds
464 both kpasswd
465 tcp submissions smtps ssmtp
500 udp isakmp
512 tcp exec
512 udp biff
513 tcp login
513 udp who whod
514 tcp shell
514 udp syslog
515 tcp printer lpr
517 udp talk
518 udp ntalk
520 udp rip router
540 tcp uucp
543 tcp klogin
544 tcp kshell
546 udp dhcpv6-client
547 udp dhcpv6-server
548 tcp afpovertcp
554 both rtsp
563 tcp nntps
587 tcp submission
631 both ipp
636 both ldaps
639 both msdp
646 both ldp
848 udp gdoi
853 both domain-s dot
873 tcp rsync
989 tcp ftps-data
990 tcp ftps
992 tcp telnets
993 tcp imaps
995 tcp pop3s
1080 both socks
1194 both openvpn
1433 tcp ms-sql-s
1434 udp ms-sql-m
1701 udp l2f l2tp
1720 tcp h323hostcall
1723 tcp pptp
1812 udp radius
1813 udp radius-acct
1883 tcp mqtt
1900 udp ssdp
1985 udp hsrp
2049 both nfs
2375 tcp docker
2376 tcp docker-tls
2379 tcp etcd-client
2401 tcp cvspserver
2855 tcp msrp
3128 tcp squid
3260 tcp iscsi-target iscsi
3306 tcp mysql
3389 both ms-wbt-server rdp
3478 both stun turn
3544 udp teredo
3690 tcp svn subversion
3784 udp bfd-control
3785 udp bfd-echo
4190 tcp sieve
4321 tcp rwhois
4500 udp ipsec-nat-t
4789 udp vxlan
4949 tcp munin
5060 both sip
5061 both sips
5222 tcp xmpp-client
5269 tcp xmpp-server
5349 both stuns turns
5353 udp mdns
5432 tcp postgresql postgres
5666 tcp nrpe
5667 tcp nsca
5671 tcp amqps
5672 tcp amqp
5683 udp coap
5684 udp coaps
5900 tcp rfb vnc
5984 tcp couchdb
5999 tcp cvspup cvsup
6000 tcp x11
6081 udp geneve
6379 tcp redis
6514 tcp syslog-tls
6667 tcp ircd
6697 tcp ircs-u ircs
8021 tcp ftp-proxy
8025 tcp spamd
8026 tcp spamd-cfg
8080 tcp http-alt webcache
8081 tcp tproxy
8443 tcp https-alt
8883 tcp mqtts secure-mqtt
9101 tcp bacula-dir
9102 tcp bacula-fd
9103 tcp bacula-sd
9200 tcp elasticsearch
9418 tcp git
10050 tcp zabbix-agent
10051 tcp zabbix-trapper
11211 both memcached
51820 udp wireguard
56789 udp pftabled
`;

export const services: readonly Service[] = table
  .trim()
  .split('\n')
  .map((line) => {
    const [port, protocol, name, ...aliases] = line.split(' ') as [string, Service['protocol'], string, ...string[]];
    return { port: Number(port), name, protocol, aliases };
  });
