/**
 * A function of an object that never changes, worked out once for each and forgotten with it. For what depends on that object alone, and on
 * nothing that can change behind it.
 */
export function remembered<K extends object, V>(work: (key: K) => V): (key: K) => V {
  // Boxed, so that null and undefined can be remembered too.
  const known = new WeakMap<K, { readonly value: V }>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before.value;
    const value = work(key);
    known.set(key, { value });
    return value;
  };
}
