/** `act`, of which only the first call does anything: what is given back must not be given back twice. */
export function once<T>(act: (value: T) => void): (value: T) => void {
  let isDone = false;
  return (value) => {
    if (isDone) return;
    isDone = true;
    act(value);
  };
}
