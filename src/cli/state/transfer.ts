import { open } from 'node:fs/promises';
import { PosternError } from '../../errors.js';
import type { ImportCount } from '../../store/transfer.js';
import type { Daemon } from '../client.js';
import { command, type Io } from '../command.js';
import { placeOptions } from '../defaults.js';
import { eitherOptions, runningDaemon } from '../running-daemon.js';
import { counted } from '../text.js';
import { stateFolder, storeDisk } from './folder.js';
import { progress } from './progress.js';

/** Characters that are written at once. */
const chunkLength = 65_536;

export const exportState = command({
  summary: 'write everything that is kept as JSON lines',
  about: `Entries, deletes and flushes with their stamps, grants, quotas, sequences, marks of signed messages: what another
machine needs to go on from here. The first line says what it is.`,
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write to a file that only its owner can read' },
    ...placeOptions,
  },
  examples: [
    { command: 'postern state export | ssh fw2 postern state import', what: 'gives another machine the same bans' },
  ],
  async run({ values, io }) {
    const disk = await storeDisk(values);
    const [{ readFolder }, { exportLines }] = await Promise.all([
      import('../../store/read-folder.js'),
      import('../../store/transfer.js'),
    ]);
    const { state, loaded } = readFolder(disk);
    const lines = exportLines(loaded.head?.node ?? 'unknown', state.registers(), Date.now());
    const count = await write(lines, values.output, io);
    if (values.output !== undefined) io.err(`${counted(count - 1, 'record')} written to ${values.output}\n`);
    return 0;
  },
});

/** Answers how many lines there were. */
async function write(lines: Iterable<string>, output: string | undefined, io: Io): Promise<number> {
  const file = output === undefined ? undefined : await open(output, 'w', 0o600).catch(cant(output, 'written'));
  try {
    const out =
      file === undefined ? (text: string) => io.out(text) : async (text: string) => void (await file.writeFile(text));
    const told = progress(io, (done) => `exported ${counted(done, 'record')}`);
    let count = 0;
    let chunk = '';
    for (const line of lines) {
      count++;
      chunk += `${line}\n`;
      if (chunk.length < chunkLength) continue;
      await out(chunk);
      chunk = '';
      told(count);
    }
    await out(chunk);
    await file?.sync();
    return count;
  } finally {
    await file?.close();
  }
}

export const importState = command({
  summary: 'take in what another machine exported',
  args: '[FILE]',
  about: `Reads JSON lines from FILE or standard input. A record counts where it is later than what is known of the same
thing, so importing twice does no harm. A running daemon takes it in and brings tables and kernel to it; without one it
is in force from the next start on.`,
  options: eitherOptions,
  async run(call) {
    const { io, args } = call;
    const chunks = await chunksOf(args[0], io);
    const daemon = await runningDaemon(call);
    const { records, won } = await (daemon === undefined ? importHere(chunks, call.values, io) : send(daemon, chunks));
    await io.out(`${counted(records, 'record')}, ${won} of them news\n`);
    return 0;
  },
});

/** @throws PosternError `system` when the file can't be read. */
async function chunksOf(path: string | undefined, io: Io): Promise<AsyncIterable<Uint8Array | string>> {
  if (path === undefined || path === '-') return io.stdin;
  const file = await open(path).catch(cant(path, 'read'));
  return file.createReadStream();
}

async function send(daemon: Daemon, chunks: AsyncIterable<Uint8Array | string>): Promise<ImportCount> {
  return daemon.feed('POST', '/v1/state/import', textOf(chunks));
}

async function* textOf(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of chunks) yield typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
}

async function importHere(
  chunks: AsyncIterable<Uint8Array | string>,
  places: { readonly netns?: string; readonly state?: string },
  io: Io,
): Promise<ImportCount> {
  const [{ lockState, openStoreIn }, { importLines }] = await Promise.all([
    import('../daemon/state-folder.js'),
    import('../../store/transfer.js'),
  ]);
  const folder = stateFolder(places);
  const cantWrite = (notice: string) => {
    throw new PosternError('system', notice);
  };
  const release = lockState(folder, cantWrite);
  try {
    const store = await openStoreIn(folder, (notice) => io.err(`postern: store: ${notice}\n`));
    try {
      return await importLines(
        store,
        chunks,
        progress(io, (done) => `imported ${counted(done, 'record')}`),
      );
    } finally {
      await store.close();
    }
  } finally {
    release();
  }
}

function cant(path: string, doWhat: 'read' | 'written'): (cause: Error) => never {
  return (cause) => {
    throw new PosternError('system', `${path} can't be ${doWhat}: ${cause.message}`, { cause });
  };
}
