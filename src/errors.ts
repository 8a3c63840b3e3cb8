/**
 * The catalogue of errors: the only place where codes, exit statuses and HTTP statuses are defined.
 * A message says what is wrong, where, and what to do next.
 */

interface Kind {
  /** Exit status of a command that fails with it. */
  readonly exit: number;
  /** HTTP status of a request that fails with it. */
  readonly http: number;
}

const kinds = {
  /** The command line or the request is not understood. */
  usage: { exit: 2, http: 400 },
  /** A value (address, duration, name …) can't be read or is out of range. */
  invalid: { exit: 2, http: 400 },
  /** The policy has errors; `diagnostics` lists them. */
  policy: { exit: 3, http: 422 },
  /** What is named doesn't exist. */
  'not-found': { exit: 4, http: 404 },
  /** It exists already, or another change came first. */
  conflict: { exit: 4, http: 409 },
  /** A bound is reached: a set, a queue. */
  full: { exit: 5, http: 507 },
  /** A request is larger than its bound. */
  'too-large': { exit: 5, http: 413 },
  /** The caller asks too often; trying again later works. */
  throttled: { exit: 5, http: 429 },
  /** Too much at once; trying again later may work. */
  busy: { exit: 5, http: 503 },
  /** The caller may not do this. */
  forbidden: { exit: 6, http: 403 },
  /** The caller didn't say, or couldn't prove, who it is. */
  unauthorized: { exit: 6, http: 401 },
  /** The kernel refused; nothing was changed. */
  kernel: { exit: 7, http: 500 },
  /** This kernel or this nft can't do it; the message names what is missing. */
  unsupported: { exit: 7, http: 501 },
  /** The machine lacks something: a tool, a privilege, a file. */
  system: { exit: 7, http: 500 },
  /** The daemon can't be reached. */
  unreachable: { exit: 8, http: 502 },
  /** Something took longer than its bound. */
  timeout: { exit: 8, http: 504 },
  /** A file that Postern keeps is damaged or of an unknown version. */
  damaged: { exit: 9, http: 500 },
  /** A defect in Postern itself. */
  internal: { exit: 70, http: 500 },
} as const satisfies Record<string, Kind>;

export type ErrorCode = keyof typeof kinds;

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Further facts for programs; becomes `details` of the JSON error. */
  readonly details?: unknown;
}

const brand = Symbol.for('postern.error');

/** Every error that a user can meet. */
export class PosternError extends Error {
  override readonly name = 'PosternError';
  readonly [brand] = true;
  readonly details: unknown;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: ErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.details = options.details;
  }

  get exitStatus(): number {
    return kinds[this.code].exit;
  }

  get httpStatus(): number {
    return kinds[this.code].http;
  }
}

/** What the REST API answers and `--json` prints for an error. */
export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly details?: unknown };
}

/** The one shape in which an error leaves the program. An error that is not ours is `internal`. */
export function errorBody(error: unknown): ErrorBody {
  const { code, message, details } = asPosternError(error);
  return { error: { code, message, ...(details === undefined ? {} : { details }) } };
}

/** An error of ours is one wherever it was made: the bundled commands have the class a second time. */
function isPosternError(error: unknown): error is PosternError {
  return typeof error === 'object' && error !== null && brand in error;
}

/** Wraps anything that was thrown. */
export function asPosternError(error: unknown): PosternError {
  if (isPosternError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PosternError('internal', message, { cause: error });
}
