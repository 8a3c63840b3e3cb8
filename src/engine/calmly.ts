/** Items that are worked on before others get their turn: some milliseconds. */
const itemsAtATime = 1_000;

/** Goes through a long list without keeping others waiting. */
export async function calmly<T>(items: Iterable<T>, use: (item: T) => void): Promise<void> {
  let used = 0;
  for (const item of items) {
    use(item);
    used++;
    if (used % itemsAtATime === 0) await new Promise(setImmediate);
  }
}
