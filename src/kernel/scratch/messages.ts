/** What goes between a scratch host's thread and the rest of the program. */

import type { ErrorCode } from '../../errors.js';
import type { Answer, Injection, RawRun, ScratchHost, ScratchSocket } from '../scratch.js';

export type ToScratch =
  | { readonly id: number; readonly do: 'open' | 'dispose' }
  | { readonly id: number; readonly do: 'build'; readonly host: ScratchHost }
  | { readonly id: number; readonly do: 'load'; readonly text: string }
  | { readonly id: number; readonly do: 'listen'; readonly groups: readonly number[] }
  | { readonly id: number; readonly do: 'serve'; readonly sockets: readonly ScratchSocket[] }
  | {
      readonly id: number;
      readonly do: 'exchange';
      readonly protocol: 'NETFILTER' | 'ROUTE';
      readonly messages: readonly Uint8Array[];
    }
  | { readonly id: number; readonly do: 'inject'; readonly packets: readonly Injection[] };

export type FromScratch = { readonly id: number } & (
  | { readonly done: true }
  | { readonly problems: readonly string[] }
  | { readonly answers: readonly Answer[] }
  | { readonly runs: readonly RawRun[] }
  | { readonly failed: { readonly code: ErrorCode; readonly message: string } }
);
