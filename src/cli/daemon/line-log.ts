/** The daemon's log: one line an event, for people or as JSON, bounded however often something repeats. */

import { LineLimit } from '../../services/line-limit.js';
import type { Log, LogFacts } from '../../services/service.js';

type Level = 'info' | 'warn' | 'error';

/** Lines told apart; beyond it the one that was quiet longest is forgotten. */
const maxKnown = 256;

export interface LineLogOptions {
  readonly json: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  write(line: string): void;
}

export class LineLog implements Log {
  /** Of each line by its text, in the order of their last use. */
  readonly #limits = new Map<string, LineLimit>();

  constructor(readonly options: LineLogOptions) {}

  info(message: string, facts?: LogFacts): void {
    this.#line('info', message, facts);
  }

  warn(message: string, facts?: LogFacts): void {
    this.#line('warn', message, facts);
  }

  error(message: string, facts?: LogFacts): void {
    this.#line('error', message, facts);
  }

  #line(level: Level, message: string, facts: LogFacts = {}): void {
    const now = this.options.now();
    const heldBack = this.#limitOf(`${level} ${message}`).pass(now);
    if (heldBack === undefined) return;
    const repeated = heldBack === 0 ? {} : { repeated: heldBack };
    const time = new Date(now).toISOString();
    this.options.write(
      this.options.json
        ? `${JSON.stringify({ time, level, message, ...facts, ...repeated })}\n`
        : `${time} ${level}: ${oneLine(message)}${heldBack === 0 ? '' : ` (${heldBack} more like it before)`}\n`,
    );
  }

  #limitOf(key: string): LineLimit {
    const limit = this.#limits.get(key) ?? new LineLimit();
    this.#limits.delete(key);
    this.#limits.set(key, limit);
    if (this.#limits.size > maxKnown) this.#limits.delete(this.#limits.keys().next().value!);
    return limit;
  }
}

/** A client's text must not look like a line of ours. */
function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, ' | ').replace(/\p{Cc}/gu, '?');
}
