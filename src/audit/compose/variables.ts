/** `${NAME}` in compose files, and the `.env` file beside them. Pure. */

export type Variables = ReadonlyMap<string, string>;

export interface Interpolated {
  /** The text with every variable in place; null when one is unknown. */
  readonly text: string | null;
  /** A default stands in the file itself: `${NAME:-default}`. */
  readonly defaults: readonly string[];
  readonly hasVariable: boolean;
}

/** Compose's own rules: `$$` is a dollar, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME:+other}`, `$NAME`. */
export function interpolate(text: string, variables: Variables): Interpolated {
  const defaults: string[] = [];
  let isKnown = true;
  let hasVariable = false;
  const pattern = /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+])([^}]*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)/g;
  const filled = text.replaceAll(
    pattern,
    (
      whole,
      braced: string | undefined,
      operator: string | undefined,
      word: string | undefined,
      bare: string | undefined,
    ) => {
      if (whole === "$$") return "$";
      hasVariable = true;
      const value = variables.get(braced ?? bare ?? "");
      const isEmpty = value === undefined || (value === "" && operator?.startsWith(":") === true);
      if (operator?.endsWith("-") === true) {
        defaults.push(word ?? "");
        return isEmpty ? (word ?? "") : (value ?? "");
      }
      if (operator?.endsWith("+") === true) return isEmpty ? "" : (word ?? "");
      if (value === undefined) isKnown = false;
      return value ?? "";
    },
  );
  return { text: isKnown ? filled : null, defaults, hasVariable };
}

/** The lines NAME=VALUE of a `.env` file; quotes are taken off, what is no such line is passed over. */
export function readEnvFile(text: string): Variables {
  const variables = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name = "", rest = ""] =
      /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name === "") continue;
    const inQuotes = /^(["'])(.*)\1\s*(?:#.*)?$/.exec(rest)?.[2];
    variables.set(name, inQuotes ?? rest.replace(/\s+#.*$/, "").trim());
  }
  return variables;
}
