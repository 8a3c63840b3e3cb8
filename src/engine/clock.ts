/** Time as the engine sees it. What is left of an entry is kept on the steady clock, so that setting the wall clock ends no ban. */

export interface Clock {
  /** Milliseconds that never jump, from any zero. */
  steady(): number;
  /** Milliseconds since the epoch. */
  wall(): number;
  /** Calls back once `steady` has reached a time, or later. Answers the function that cancels it. */
  at(steadyMs: number, call: () => void): () => void;
}

/** What setTimeout can wait for at most. */
const longestWaitMs = 2 ** 31 - 1;

/** The clock of this process. Its timers don't keep the process alive. */
export const systemClock: Clock = {
  steady: () => performance.now(),
  wall: () => Date.now(),
  at(steadyMs, call) {
    let timer: NodeJS.Timeout | undefined;
    const wait = (check: () => void) => {
      const leftMs = Math.max(0, Math.ceil(steadyMs - performance.now()));
      timer = setTimeout(check, Math.min(leftMs, longestWaitMs)).unref();
    };
    const check = () => (performance.now() >= steadyMs ? call() : wait(check));
    wait(check);
    return () => clearTimeout(timer);
  },
};
