/** Looks that a wait is made of. */
const looks = 10;

/**
 * Calls back when this process has been awake for so many milliseconds; answers what calls that off. By a single timer, time in which it, or the
 * machine, stood still would count too, and the timer would come before what others had said long ago is heard: between two
 * looks the event loop has read what there was.
 */
export function afterAwake(ms: number, then: () => void): () => void {
  let left = looks;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    then();
  }, ms / looks);
  return () => clearInterval(timer);
}
