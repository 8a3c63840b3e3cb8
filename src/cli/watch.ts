import { PosternError } from '../errors.js';
import { parseAddress } from '../net/address.js';
import { formatPrefix, parsePrefix, prefixOf, prefixRange } from '../net/prefix.js';
import { command } from './command.js';
import { eitherOptions, runningDaemon } from './running-daemon.js';

const MOST_PER_SECOND = 1_000;

export const watch = command({
  summary: 'show what becomes of the packets of an address, as they come',
  args: 'ADDRESS',
  about: `ADDRESS is a host or a prefix. Some of its packets, to it and from it, are traced by the kernel, and each is told with
the line of the policy that decided. The table that picks them is there as long as this command runs, and the kernel
removes it with it, however it ends. Needs root. Ends by Ctrl-C.`,
  options: {
    rate: { type: 'string', value: 'N', help: 'packets a second at most; 3 if not given' },
    count: { type: 'string', value: 'N', help: 'end after so many packets' },
    json: { type: 'boolean', help: 'print as JSON, one packet a line' },
    ...eitherOptions,
  },
  examples: [
    { command: 'postern watch 203.0.113.5', what: 'why does this client not get in?' },
    { command: 'postern watch 198.51.100.0/24 --rate 20 --count 100', what: 'what a network does' },
  ],
  async run(call) {
    const { values, args, io } = call;
    const prefix = parsePrefix(args[0]!);
    const perSecond = numberOf('rate', values.rate ?? '3', MOST_PER_SECOND);
    const most = values.count === undefined ? Number.POSITIVE_INFINITY : numberOf('count', values.count);
    const daemon = await runningDaemon(call);
    const [{ watchPackets }, { watchedText }] = await Promise.all([
      import('./live-watch.js'),
      import('../oracle/live-trace.js'),
    ]);
    const range = prefixRange(prefix);
    const isAsked = (...ends: readonly string[]): boolean =>
      ends.some((text) => {
        const address = parseAddress(text);
        return address.family === range.family && prefixOf(address, prefix.length).value === prefix.value;
      });
    await watchPackets({
      ...{ address: formatPrefix(prefix), family: prefix.family, perSecond, most, isAsked, places: values },
      ...(daemon !== undefined && { daemon }),
      notify: (notice) => io.err(`postern: ${notice}\n`),
      tell: (packet) => io.out(values.json === true ? `${JSON.stringify(packet)}\n` : watchedText(packet)),
    });
    return 0;
  },
});

function numberOf(option: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number > 0 && number <= most) return number;
  const bound = most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ' on';
  throw new PosternError('usage', `--${option}: '${text}' is not a whole number from 1${bound}`);
}
