/** The line that xt_LOGMARK writes of a packet. */

/** The state of the packet's connection when the rule saw it. */
export type LogmarkState = 'NEW' | 'ESTABLISHED' | 'RELATED' | 'INVALID';
export type LogmarkDirection = 'ORIGINAL' | 'REPLY';

/** In the order in which the original lists them. */
export const logmarkStatuses = ['EXPECTED', 'SEEN_REPLY', 'ASSURED', 'CONFIRMED'] as const;
export type LogmarkStatus = (typeof logmarkStatuses)[number];

/** The packet's connection. */
export interface LogmarkConnection {
  /** What stands for the entry's address, which nobody but the kernel knows. */
  readonly id: number;
  readonly mark: number;
  readonly translated: readonly ('SNAT' | 'DNAT')[];
  readonly status: readonly LogmarkStatus[];
  readonly lifetimeS?: number;
}

export interface LogmarkRecord {
  readonly prefix: string;
  /** Index of the device it came in by; 0: none. */
  readonly device: number;
  readonly hook: string;
  readonly mark: number;
  readonly direction: LogmarkDirection;
  readonly state: LogmarkState;
  /** Absent: it has none. */
  readonly connection?: LogmarkConnection;
}

/** `iif=3 hook=INPUT nfmark=0x11 …`, one line without its end. */
export function logmarkLine({ prefix, device, hook, mark, direction, state, connection }: LogmarkRecord): string {
  const packet = `${prefix}iif=${device} hook=${hook} nfmark=${hex(mark)} secmark=0x0 classify=0x0 ctdir=${direction}`;
  if (connection === undefined) return `${packet} ct=NULL ctmark=NULL ctstate=INVALID ctstatus=NONE`;
  const { id, translated, status, lifetimeS } = connection;
  const states = [state, ...translated].join();
  const text = `${packet} ct=${hex(id)} ctmark=${hex(connection.mark)} ctstate=${states} ctstatus=${status.join()}`;
  return lifetimeS === undefined ? text : `${text} lifetime=${lifetimeS}s`;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
