/** `${NAME}` in compose files, and the `.env` file beside them. Pure. */

export type Variables = ReadonlyMap<string, string>;

export interface Interpolated {
  /** The text with every variable in place; null when one is unknown. */
  readonly text: string | null;
  /** A default stands in the file itself: `${NAME:-default}`. */
  readonly defaults: readonly string[];
  readonly hasVariable: boolean;
}

/** As deep as variables may stand in the defaults of others. */
const depthMax = 10;

/**
 * Compose's own rules: `$$` is a dollar, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME:+other}`, `$NAME`; a
 * default may hold variables. `standIn` takes the place of an unknown variable, so that there always is a text.
 */
export function interpolate(
  text: string,
  variables: Variables,
  standIn: string | null = null,
  depth = 0,
): Interpolated {
  const defaults: string[] = [];
  let isKnown = true;
  let hasVariable = false;
  let filled = "";
  const pattern = /\$\$|\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)/g;
  for (let at = 0; at < text.length; ) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    const [whole = "", bare, braced] = found ?? [];
    const start = found?.index ?? text.length;
    filled += text.slice(at, start);
    at = start + whole.length;
    if (found === null) break;
    if (whole === "$$") {
      filled += "$";
      continue;
    }
    const end = braced === undefined ? at : closing(text, at);
    const inside = text.slice(at, Math.max(at, end));
    const [, operator = "", word = ""] = /^(:?[-?+]|)([\s\S]*)$/.exec(inside) ?? [];
    // `${NAME` without an end, or with something else behind the name, is no variable of compose's.
    if (end === -1 || (operator === "" && word !== "") || depth > depthMax) {
      filled += whole;
      continue;
    }
    if (braced !== undefined) at = end + 1;
    hasVariable = true;
    const value = variables.get(braced ?? bare ?? "");
    const isEmpty = value === undefined || (value === "" && operator.startsWith(":"));
    if (/[-+]$/.test(operator)) {
      const inner = interpolate(word, variables, standIn, depth + 1);
      const isDefault = operator.endsWith("-");
      if (isDefault) defaults.push(...(inner.hasVariable ? inner.defaults : [word]));
      if (isDefault !== isEmpty) filled += isDefault ? (value ?? "") : "";
      else {
        filled += inner.text ?? word;
        isKnown &&= inner.text !== null;
      }
    } else {
      isKnown &&= value !== undefined || standIn !== null;
      filled += value ?? standIn ?? "";
    }
  }
  return { text: isKnown ? filled : null, defaults, hasVariable };
}

/** The `}` that ends a variable, over the variables in its default; -1: none, or they stand too deep. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "$" && text[at + 1] === "{") depth += 1;
    else if (text[at] === "}") depth -= 1;
    if (depth === 0) return at;
    if (depth > depthMax) return -1;
  }
  return -1;
}

/** One line NAME=VALUE; lines count from 1. */
export interface EnvLine {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** The lines NAME=VALUE of a `.env` file; quotes are taken off, what is no such line is passed over. */
export function envLines(text: string): readonly EnvLine[] {
  return text.split(/\r?\n/).flatMap((written, index) => {
    const [, name = "", rest = ""] =
      /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(written) ?? [];
    if (name === "") return [];
    const inQuotes = /^(["'])(.*)\1\s*(?:#.*)?$/.exec(rest)?.[2];
    return [{ name, value: inQuotes ?? rest.replace(/\s+#.*$/, "").trim(), line: index + 1 }];
  });
}

/** A `.env` file as variables; of two lines for one name the later holds. */
export function readEnvFile(text: string): Variables {
  return new Map(envLines(text).map(({ name, value }) => [name, value]));
}
