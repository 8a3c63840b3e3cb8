/**
 * The scratch host: a network namespace without a name, made inside a worker thread, with devices, addresses, routes and
 * rules as some host has them. Packets that are injected there go through the real kernel; what it tells of them and
 * what comes out is the answer. Nothing of it is visible outside, and nothing is left when the thread ends.
 */

import type { Address } from '../net/address.js';
import type { NetlinkMessage } from '../wire/netlink.js';

/** A device of the stand-in host. */
export interface ScratchDevice {
  readonly name: string;
  /** As on the host that it stands for; `iif 7` in a rule means this. Above 1. */
  readonly index: number;
  /** Absent for devices without Ethernet headers (ppp, wireguard, tun). */
  readonly mac?: Uint8Array;
  /** ARP hardware type of a device without Ethernet headers; none when absent. */
  readonly arpType?: number;
}

/** What a stand-in host is made of. Bodies are those of rtnetlink messages (`wire/rtnetlink-setup`). */
export interface ScratchHost {
  readonly devices: readonly ScratchDevice[];
  /** Of NEWADDR. */
  readonly addresses: readonly Uint8Array[];
  /** Of NEWROUTE; a gateway's network comes before what goes through it. */
  readonly routes: readonly Uint8Array[];
  /** Of NEWRULE. */
  readonly rules: readonly Uint8Array[];
  /** Path below /proc/sys/net and value, in the order in which they are written. */
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** Where a packet comes from: in by a device, or out from a socket of this host. */
export type Entry =
  | { readonly device: string }
  | { readonly local: { readonly mark?: number; readonly uid?: number; readonly device?: string } };

export interface Injection {
  /** From the IP header on. */
  readonly packet: Uint8Array;
  readonly at: Entry;
  /** Of the frame, with Ethernet devices. */
  readonly sourceMac?: Uint8Array;
  /** Reads the kernel's counters before and after: 400 µs more. */
  readonly counters?: boolean;
}

/** A socket of the host that waits for packets. */
export interface ScratchSocket {
  readonly protocol: 'tcp' | 'udp';
  /** Absent: all of the host's. */
  readonly address?: Address;
  readonly port: number;
}

/** What the kernel did with a packet, as it told it: undecoded, so that it can be recorded and played again. */
export interface RawRun {
  /** Datagrams of the trace, behind each other; see `wire/nftrace`. */
  readonly trace: Uint8Array;
  /** Datagrams of NFLOG, behind each other; see `wire/nflog`. */
  readonly copies: Uint8Array;
  /** What left by the devices, in order. */
  readonly frames: readonly { readonly device: string; readonly bytes: Uint8Array }[];
  /** Trace events that were lost, so that the trace is not complete. */
  readonly lost: number;
  /** Names the error with which a local packet was refused: `EPERM` when a rule in output dropped it. */
  readonly refused?: string;
  /** Counters of /proc/net/{netstat,snmp,snmp6} that grew. */
  readonly counters?: Readonly<Record<string, number>>;
}

/** What the kernel answered to a netlink request. */
export interface Answer {
  /** 0 when it was obeyed. */
  readonly errno: number;
  readonly reason?: string;
  readonly messages: readonly NetlinkMessage[];
}

/** What could not be set up as on the host, for people. */
export interface BuildReport {
  readonly problems: readonly string[];
}

/** All methods throw PosternError; `unsupported` or `system` say what this machine doesn't allow. */
export interface Scratch {
  /** A new, empty namespace with this host in it; what was loaded or injected before is gone. */
  build(host: ScratchHost): Promise<BuildReport>;
  /** nft text in place of everything that is loaded. @throws PosternError `kernel` with nft's words. */
  load(text: string): Promise<void>;
  /** Takes the copies of these NFLOG groups. */
  listen(groups: readonly number[]): Promise<void>;
  /** Has these sockets listen, in place of those before. @throws PosternError `invalid` when one can't. */
  serve(sockets: readonly ScratchSocket[]): Promise<void>;
  /** Sends netlink messages (or batches of nf_tables) one by one; a listing's answer is all of it. */
  exchange(protocol: 'NETFILTER' | 'ROUTE', messages: readonly Uint8Array[]): Promise<readonly Answer[]>;
  /** One after the other; each run holds all that its packet caused. */
  inject(packets: readonly Injection[]): Promise<readonly RawRun[]>;
  /** Lets everything go in the background; closing a device takes the kernel 30 ms. */
  dispose(): void;
}
