/** What is wrong with the names of an order's parameters; null: nothing. A misspelt one would leave its default in place without a word. */
export function queryProblem(
  query: URLSearchParams,
  /** Those there are, and whether more than one of each may be given. */
  names: Readonly<Record<string, "once" | "often">>,
): string | null {
  for (const name of query.keys()) {
    if (!Object.hasOwn(names, name))
      return `there is no "${name.slice(0, 20)}": ${Object.keys(names).join(", ")}`;
    if (names[name] === "once" && query.getAll(name).length > 1) return `${name} is given twice`;
  }
  return null;
}
