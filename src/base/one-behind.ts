/**
 * Runs one at a time. Who asks while one runs gets the next, which begins behind it, one for all who ask meanwhile: what the
 * running one has read may be another by now.
 */
export function oneBehind<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  let next: Promise<T> | null = null;
  const begin = (): Promise<T> => {
    next = null;
    running = run().finally(() => {
      if (next === null) running = null;
    });
    return running;
  };
  return () => {
    if (running === null) return begin();
    next ??= running.then(begin, begin);
    return next;
  };
}
