/** Words longer than this are not compared: no name of ours comes near it. */
const wordCharsMax = 64;

/**
 * The known name somebody most likely meant by `word`, for "did you mean": letter case and `-`/`_`/`.` are not told
 * apart, the same words in another order count as near, else one edit for each three letters (at least one).
 * Answers null when nothing is near enough. The first of equally near names wins.
 */
export function nearestName(word: string, known: readonly string[]): string | null {
  const plain = plainName(word);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const name of known) {
    const distance = sameWords(word, name) ? 0 : editDistance(plain, plainName(name), bestDistance);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Do two names consist of the same words, whatever their order and case: `LISTEN_HTTP` and `http_listen`. */
export function sameWords(a: string, b: string): boolean {
  return a.length === b.length && sortedWords(a) === sortedWords(b);
}

/**
 * How many letters must be inserted, deleted, replaced or swapped with their neighbour to turn `a` into `b`
 * (optimal string alignment). Counts up to `max`; anything farther is answered as `max`.
 */
export function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) >= max || a.length > wordCharsMax || b.length > wordCharsMax) {
    return max;
  }
  let twoBack: number[] = [];
  let oneBack = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        at(oneBack, column) + 1,
        at(current, column - 1) + 1,
        at(oneBack, column - 1) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, at(twoBack, column - 2) + 1);
      }
      current.push(cost);
    }
    twoBack = oneBack;
    oneBack = current;
  }
  return Math.min(at(oneBack, b.length), max);
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] ?? Number.POSITIVE_INFINITY;
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/[-.]/g, "_");
}

function sortedWords(name: string): string {
  return plainName(name).split("_").sort().join("_");
}
