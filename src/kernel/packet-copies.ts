/** Copies of logged packets, by NFLOG group, for services that think about each one. The worker starts with the first group. */

import { PosternError } from '../errors.js';
import type { PacketCopy } from './duties/copy.js';
import type { DutySpec } from './packet-duty.js';
import type { PacketCounters } from './packet-messages.js';
import type { Packets, PacketsOptions } from './packets.js';

export type { PacketCopy } from './duties/copy.js';

export interface PacketCopies {
  /**
   * Takes the copies of a group until the answered function is called.
   * @param copyBytes of each packet
   * @throws PosternError `conflict` when the group has a listener, `system`
   */
  listen(group: number, copyBytes: number, take: (copy: PacketCopy) => void): Promise<() => Promise<void>>;
  /**
   * Runs a duty in the worker until the answered function is called.
   * @param take gets what the duty has to say
   * @throws PosternError as `listen`
   */
  run(duty: DutySpec, take?: (event: unknown) => void): Promise<() => Promise<void>>;
  /** What a duty that runs has counted. */
  counters(duty: string): PacketCounters | undefined;
}

export interface OwnedPacketCopies extends PacketCopies {
  close(): Promise<void>;
}

interface Listener {
  readonly duty: DutySpec;
  readonly take: (event: unknown) => void;
}

const module = new URL('./duties/copy.js', import.meta.url).href;

/** @param open starts a packet worker: `openPackets` */
export function packetCopies(
  open: (options: PacketsOptions) => Packets,
  died?: PacketsOptions['died'],
): OwnedPacketCopies {
  const listeners = new Map<string, Listener>();
  let packets: Packets | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const bring = (): Promise<void> => {
    const done = turn.then(async () => {
      packets ??= open({
        event: (duty, event) => listeners.get(duty)?.take(event),
        ...(died !== undefined && { died }),
      });
      await packets.setDuties([...listeners.values()].map(({ duty }) => duty));
    });
    turn = done.catch(() => {});
    return done;
  };

  const start = async (listener: Listener): Promise<() => Promise<void>> => {
    const { name, group } = listener.duty;
    if ([...listeners.values()].some(({ duty }) => duty.name === name || duty.group === group)) {
      throw new PosternError('conflict', `NFLOG group ${group} has a listener already`);
    }
    listeners.set(name, listener);
    try {
      await bring();
    } catch (error) {
      listeners.delete(name);
      throw error;
    }
    return async () => {
      listeners.delete(name);
      await bring();
    };
  };

  return {
    listen(group, copyBytes, take) {
      const name = `copies of group ${group}`;
      return start({
        duty: { name, group, module, spec: undefined, copyBytes },
        take: (event) => take(event as PacketCopy),
      });
    },
    run: (duty, take = () => {}) => start({ duty, take }),
    counters: (duty) => packets?.counters().get(duty),
    async close() {
      await turn;
      await packets?.close();
    },
  };
}
