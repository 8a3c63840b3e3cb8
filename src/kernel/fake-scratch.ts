/**
 * A scratch host that plays what a real one has answered: a tape of its calls, recorded once and kept as JSON. What reads
 * traces is tested by it without root, and always against what a kernel has said.
 */

import { PosternError } from '../errors.js';
import type { NetlinkMessage } from '../wire/netlink.js';
import type { Answer, RawRun, Scratch } from './scratch.js';

interface TapedMessage extends Omit<NetlinkMessage, 'body'> {
  /** Base64, as all bytes on a tape. */
  readonly body: string;
}

interface TapedRun extends Omit<RawRun, 'trace' | 'copies' | 'frames'> {
  readonly trace: string;
  readonly copies: string;
  readonly frames: readonly { readonly device: string; readonly bytes: string }[];
}

/** Calls in their order, with what was answered. */
export type Tape = readonly (
  | { readonly call: 'build'; readonly problems: readonly string[] }
  | { readonly call: 'load' | 'listen' | 'serve' }
  | {
      readonly call: 'exchange';
      readonly answers: readonly (Omit<Answer, 'messages'> & { readonly messages: readonly TapedMessage[] })[];
    }
  | { readonly call: 'inject'; readonly runs: readonly TapedRun[] }
)[];

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes = (taped: string): Buffer => Buffer.from(taped, 'base64');

/** Passes everything on to a scratch host, and keeps it. */
export function recordingScratch(scratch: Scratch): { readonly scratch: Scratch; readonly tape: Tape } {
  const tape: Tape[number][] = [];
  return {
    tape,
    scratch: {
      async build(host) {
        const report = await scratch.build(host);
        tape.push({ call: 'build', ...report });
        return report;
      },
      async load(ruleset) {
        await scratch.load(ruleset);
        tape.push({ call: 'load' });
      },
      async listen(groups) {
        await scratch.listen(groups);
        tape.push({ call: 'listen' });
      },
      async serve(sockets) {
        await scratch.serve(sockets);
        tape.push({ call: 'serve' });
      },
      async exchange(protocol, messages) {
        const answers = await scratch.exchange(protocol, messages);
        tape.push({ call: 'exchange', answers: answers.map(tapedAnswer) });
        return answers;
      },
      async inject(packets) {
        const runs = await scratch.inject(packets);
        tape.push({ call: 'inject', runs: runs.map(tapedRun) });
        return runs;
      },
      dispose: () => scratch.dispose(),
    },
  };
}

const tapedAnswer = (answer: Answer) => ({
  ...answer,
  messages: answer.messages.map((message) => ({ ...message, body: text(message.body) })),
});

const tapedRun = (run: RawRun): TapedRun => ({
  ...run,
  trace: text(run.trace),
  copies: text(run.copies),
  frames: run.frames.map((frame) => ({ ...frame, bytes: text(frame.bytes) })),
});

/** Answers as on the tape; a call that comes out of its order is an error. */
export function fakeScratch(tape: Tape): Scratch {
  let next = 0;
  const take = <C extends Tape[number]['call']>(call: C): Extract<Tape[number], { call: C }> => {
    const taped = tape[next++];
    if (taped?.call === call) return taped as Extract<Tape[number], { call: C }>;
    throw new PosternError('internal', `the tape goes on with ${taped?.call ?? 'nothing'}, and not with ${call}`);
  };
  return {
    build: async () => ({ problems: take('build').problems }),
    load: async () => void take('load'),
    listen: async () => void take('listen'),
    serve: async () => void take('serve'),
    exchange: async () =>
      take('exchange').answers.map((answer) => ({
        ...answer,
        messages: answer.messages.map((message) => ({ ...message, body: bytes(message.body) })),
      })),
    inject: async () =>
      take('inject').runs.map((run) => ({
        ...run,
        trace: bytes(run.trace),
        copies: bytes(run.copies),
        frames: run.frames.map((frame) => ({ ...frame, bytes: bytes(frame.bytes) })),
      })),
    dispose: () => {},
  };
}
