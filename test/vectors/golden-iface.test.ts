/** iface against what the recorded module matched: the sets that the daemon would keep, packets through the kernel. Needs root. */

import { after, test } from 'node:test';
import { type DeviceFlagsRole, flagElements, flaggedDevices } from '../../src/engine/device-flags.js';
import { setPath } from '../../src/oracle/plan-contents.js';
import { DEVICE_FLAGS } from '../../src/wire/rtnetlink.js';
import { matchHost } from '../kernel/match-host.js';
import { udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { readOriginal, yamlKeys } from './original-rule.js';
import { RowRun } from './row-run.js';
import { given, replayUsage, takes, type UsageRow } from './usage.js';

interface Event {
  readonly state: string;
  /** `--iface d0`, `--dev-in`, `--dev-out`; the packets came in, to a rule in INPUT. */
  readonly device: string;
  /** A line of `ip link`, '' without such a device. */
  readonly ip_link: string;
  /** Flags with which the rule matched, `! up` among them. */
  readonly true: readonly string[];
  readonly false: readonly string[];
}

interface Case extends Event {
  readonly flag: string;
}

const { events, usage } = loadGolden<{ readonly events: readonly Event[]; readonly usage: readonly UsageRow[] }>(
  'iface',
);
const host = await matchHost({ after });

const differences = {
  'flags that the original never sees': {
    reason:
      'the original looks for RUNNING, LOWER_UP and DORMANT where the kernel does not keep them; ours are as `ip link` shows them',
    applies: ({ flag, device, ip_link }: Case) =>
      /^(! )?(running|lower-up|dormant)$/.test(flag) && device !== '--dev-out' && ip_link !== '',
    expected: (one: Case) => {
      const flags = flagsNow(one);
      const isSet = (flags & DEVICE_FLAGS[one.flag.replace('! ', '').replace('-', '_') as 'running']) !== 0;
      return isSet === !one.flag.startsWith('!');
    },
  },
};

/** The device that the packets came in by. */
const arrival = 't0';

/** Flags in a line of `ip link`, which says RUNNING by what it doesn't say. */
function flagsIn(line: string): number {
  const names = /<([^>]*)>/.exec(line)?.[1]?.toLowerCase().split(',') ?? [];
  const bits = names.reduce((sum, name) => sum | (DEVICE_FLAGS[name as 'up'] ?? 0), 0);
  return (bits & DEVICE_FLAGS.lower_up) !== 0 ? bits | DEVICE_FLAGS.running : bits;
}

const eventOf = (state: string, name: string): Event | undefined =>
  events.find((event) => event.state === state && event.device === `--iface ${name}`);

const flagsNow = ({ state, device, ip_link }: Event): number =>
  flagsIn(
    device.startsWith('--iface') ? ip_link : (eventOf(state, arrival)?.ip_link ?? '<UP,BROADCAST,MULTICAST,LOWER_UP>'),
  );

test('iface takes the packets that the recorded module took', async (t) => {
  const run = new RowRun<Case>(differences);
  for (const event of events) {
    const flags = [...event.true, ...event.false];
    const links = new Map(
      event.device.startsWith('--dev')
        ? [['wan', { flags: flagsNow(event) }]]
        : event.ip_link === ''
          ? []
          : [[event.device.replace('--iface ', ''), { flags: flagsNow(event) }]],
    );
    const rules = flags.map((flag) => {
      const option = flag.startsWith('! ') ? `! --${flag.slice(2)}` : `--${flag}`;
      return yamlKeys(readOriginal(`-A INPUT -m iface ${event.device} ${option}`, 'iface').match);
    });
    await host.rules('input', rules, {
      contents: ({ manifest }) =>
        new Map(
          manifest.sets.flatMap((set) =>
            set.role.kind === 'device-flags'
              ? [[setPath(manifest, set), flagElements(flaggedDevices(set.role as DeviceFlagsRole, links))] as const]
              : [],
          ),
        ),
    });
    const found = await host.hits(udp('203.0.113.5', '192.0.2.1', 999));
    for (const [index, flag] of flags.entries()) {
      const label = `${event.state}: ${event.device} ${flag}`;
      run.check(label, { ...event, flag }, found[index] === 1, event.true.includes(flag));
    }
  }
  run.end(
    t,
    events.reduce((sum, event) => sum + event.true.length + event.false.length, 0),
  );
});

const usageDifferences = {
  'names of devices': takes('"+", "." and "!" may stand in the name of a device', (command) =>
    /[+.!]/.test(given(command, 'iface') ?? ''),
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, usage, usageDifferences);
});
