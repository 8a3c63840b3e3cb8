/** Where the lines of LOGMARK go. None of them waits, and none keeps more than a bounded number of lines. */

import { appendFile } from 'node:fs/promises';
import type { LogmarkTarget } from '../../extensions/logmark.js';
import { logmarkLine } from '../../extensions/models/logmark.js';
import { Syslog, syslogMessage } from '../../kernel/syslog.js';
import type { LeveledRecord } from './record.js';

export interface Sink {
  /** False when the line was dropped. @param nowMs milliseconds since the epoch */
  write(record: LeveledRecord, nowMs: number): boolean;
  close(): Promise<void>;
}

/** What may wait for a reader or for the disk. */
const maxWaitingBytes = 4 << 20;

/** @param trouble told when a file can't be written. @throws PosternError `system` */
export function openSink(to: LogmarkTarget, trouble: (message: string) => void): Sink {
  if (to === 'stdout') return stdoutSink(process.stdout);
  return to === 'syslog' ? syslogSink(new Syslog()) : new FileSink(to.file, trouble);
}

export function syslogSink(syslog: Syslog): Sink {
  return {
    write: (record, nowMs) => syslog.send(syslogMessage(record.level, 'postern', logmarkLine(record), new Date(nowMs))),
    close: async () => syslog.close(),
  };
}

/** The part of a stream that is needed here. */
interface Output {
  readonly writableLength: number;
  write(text: string): unknown;
}

/** One JSON object a line. */
export function stdoutSink(output: Output): Sink {
  return {
    write(record, nowMs) {
      if (output.writableLength > maxWaitingBytes) return false;
      const { connection, ...packet } = record;
      const line = { time: new Date(nowMs).toISOString(), logmark: logmarkLine(record), ...packet, connection };
      output.write(`${JSON.stringify(line)}\n`);
      return true;
    },
    close: async () => {},
  };
}

/** Lines with the time before them. The file is opened anew for each batch, so that it may be rotated at any time. */
export class FileSink implements Sink {
  #lines: string[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;

  constructor(
    private readonly path: string,
    private readonly trouble: (message: string) => void,
  ) {}

  write(record: LeveledRecord, nowMs: number): boolean {
    if (this.#bytes > maxWaitingBytes) return false;
    const line = `${new Date(nowMs).toISOString()} ${logmarkLine(record)}\n`;
    this.#lines.push(line);
    this.#bytes += line.length;
    this.#writing ??= this.#writeAll();
    return true;
  }

  async close(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // What comes in the same turn is written at once.
    await Promise.resolve();
    while (this.#lines.length > 0) {
      const text = this.#lines.join('');
      this.#lines = [];
      this.#bytes = 0;
      await appendFile(this.path, text, { mode: 0o640 }).catch((error: Error) =>
        this.trouble(`logmark: ${this.path} can't be written: ${error.message}`),
      );
    }
    this.#writing = undefined;
  }
}
