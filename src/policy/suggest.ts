/** "Did you mean": the valid word that is closest to a misspelt one. */

/** Longer texts are no misspelt words. */
const longestWord = 40;

/**
 * The candidate with the fewest edits (insert, delete, replace, swap two neighbours), if they are few for its length.
 * Case does not count as an edit. Of equals the first wins.
 */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > longestWord) return undefined;
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let fewest = allowedEdits(wanted.length) + 1;
  for (const candidate of candidates) {
    if (candidate.length > longestWord || Math.abs(candidate.length - word.length) >= fewest) continue;
    const edits = editDistance(wanted, candidate.toLowerCase());
    if (edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

/** `did you mean "x"?`, or undefined; `show` writes the word as the policy would. */
export function didYouMean(
  word: string,
  candidates: Iterable<string>,
  show: (name: string) => string = (name) => name,
): string | undefined {
  const near = closest(word, candidates);
  return near === undefined ? undefined : `did you mean "${show(near)}"?`;
}

function allowedEdits(length: number): number {
  return length <= 1 ? 0 : length <= 2 ? 1 : length <= 5 ? 2 : 3;
}

/** Optimal string alignment distance. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let edits = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        edits = Math.min(edits, beforeLast[column - 2]! + 1);
      }
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}
