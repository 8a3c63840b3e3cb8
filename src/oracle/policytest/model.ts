/** A file of policy tests, read: packets, and what must become of them. */

import type { ScratchSocket } from '../../kernel/scratch.js';
import type { AddressRange } from '../../net/address.js';
import type { PacketLine, Position } from '../../policy/ast.js';
import type { HostModel } from '../host.js';
import type { State, Verdict } from '../reading.js';

export interface TestFile {
  /** Path of the policy as the file names it; undefined: the file's own name without `.test`. */
  readonly policy?: string;
  readonly host: HostModel;
  /** Device by the name that packets use. */
  readonly devices: ReadonlyMap<string, string>;
  readonly tests: readonly PolicyTest[];
}

export interface PolicyTest {
  readonly name: string;
  readonly at: Position;
  readonly given: Given;
  readonly steps: readonly Step[];
}

/** What is so before the first packet. */
export interface Given {
  readonly tables: readonly {
    readonly table: string;
    readonly entries: readonly AddressRange[];
    readonly at: Position;
  }[];
  /** What listens on the host. */
  readonly sockets: readonly ScratchSocket[];
  /** Connections that were opened and answered, by their first packet. */
  readonly flows: readonly Sent[];
}

/** A packet as the file writes it. */
export interface Sent {
  readonly line: PacketLine;
  readonly text: string;
  readonly at: Position;
}

export type Step =
  | {
      readonly kind: 'packets';
      readonly at: Position;
      readonly packets: readonly Sent[];
      readonly repeat: number;
      readonly expect: readonly Expectation[];
    }
  /** `advance`: elements age at once; `wait`: in real time. */
  | { readonly kind: 'advance' | 'wait'; readonly at: Position; readonly ms: number };

/** One thing that must be so; `at` is where the file says it. */
export type Expectation = { readonly at: Position } & (
  | { readonly what: 'verdict'; readonly verdict: Verdict }
  /** A line, `policy`, or a rule's name or text. */
  | { readonly what: 'by'; readonly by: string }
  /** The interfaces that it leaves by; none: it leaves by none. */
  | { readonly what: 'out'; readonly interfaces: readonly string[] }
  | { readonly what: 'state'; readonly state: State }
  | { readonly what: 'mark'; readonly mark: number }
  | { readonly what: 'tables'; readonly table: string; readonly hosts: readonly AddressRange[] }
  /** Names or kinds of duties of the daemon; all of them, in any order. */
  | { readonly what: 'duties'; readonly duties: readonly string[] }
  /** Undefined fields don't matter; `none`: nothing comes back. */
  | { readonly what: 'reply'; readonly reply: 'none' | Reply }
  | { readonly what: 'verdicts'; readonly shares: readonly Share[] }
);

export interface Reply {
  readonly tcp?: number;
  readonly icmp?: string;
  readonly from?: AddressRange;
  readonly port?: number;
}

/** How many of the packets have a verdict, as shares of 1. */
export interface Share {
  readonly verdict: Verdict;
  readonly least: number;
  readonly most: number;
}
