/** Tries an operator's regular expression, bounded in time: a pattern can take for ever (`(a+)+$`). */
import { createContext, Script } from "node:vm";

/** Longest one comparison may take; wide, since a busy machine takes its time for harmless ones too. */
export const regexTimeoutMs = 2_000;
/** After so many patterns without end, further patterns of the same kind are not tried: a file could hold thousands. */
export const timeoutsMax = 5;
/** Longest pattern that is tried, in characters. */
export const patternCharsMax = 4_096;

/** Does a text match; null: the pattern cannot be read here, or has once taken longer than the bound. */
export type Matcher = (text: string) => RegExpMatch | null;
export interface RegExpMatch {
  readonly matches: boolean;
  /** The whole match and its groups; empty when nothing matches. */
  readonly groups: readonly string[];
  /** Groups with a name. */
  readonly named: Readonly<Record<string, string>>;
}

// V8 ends a regular expression only where a script can be ended: in a script of its own with a timeout.
const sandbox = createContext(Object.create(null));
const script = new Script(
  "((found) => found === null ? null : [Array.from(found, (part) => part ?? ''), Object.entries(found.groups ?? {})])(new RegExp(source, flags).exec(text))",
);

/** Most answers that are kept for one pattern; the same paths are asked for again and again. */
const answersMax = 2_000;

/** Most patterns that are kept with their answers: servers of one file repeat them, and each request asks a map's anew. */
const matchersMax = 5_000;
const matchers = new Map<string, Matcher>();

/** A matcher of a JavaScript pattern. */
export function matcherOf(source: string, flags = ""): Matcher {
  const key = `${flags}/${source}`;
  const known = matchers.get(key);
  if (known !== undefined) return known;
  const made = newMatcher(source, flags);
  if (matchers.size < matchersMax) matchers.set(key, made);
  return made;
}

function newMatcher(source: string, flags: string): Matcher {
  if (source.length > patternCharsMax || !reads(source, flags)) return () => null;
  const answers = new Map<string, RegExpMatch>();
  let isGivenUp = false;
  return (text) => {
    if (isGivenUp) return null;
    const known = answers.get(text);
    if (known !== undefined) return known;
    const answer = tried(source, flags, text);
    // Once is enough: many texts, each at the bound, would take hours.
    if (answer === null) isGivenUp = true;
    else if (answers.size < answersMax) answers.set(text, answer);
    return answer;
  };
}

let timeouts = 0;

function tried(source: string, flags: string, text: string): RegExpMatch | null {
  if (isTame(source)) {
    const found = new RegExp(source, flags).exec(text);
    return answerOf(found, Object.entries(found?.groups ?? {}));
  }
  if (timeouts >= timeoutsMax) return null;
  Object.assign(sandbox, { source, flags, text });
  try {
    const found: unknown = script.runInContext(sandbox, { timeout: regexTimeoutMs });
    if (!Array.isArray(found)) return answerOf(null, []);
    const [groups, named]: readonly unknown[] = found;
    return answerOf(Array.isArray(groups) ? groups.map(String) : [], Array.isArray(named) ? named : []);
  } catch {
    timeouts += 1;
    return null;
  }
}

function answerOf(
  found: readonly (string | undefined)[] | null,
  named: readonly (readonly [string, string | undefined])[],
): RegExpMatch {
  return found === null
    ? { matches: false, groups: [], named: {} }
    : {
        matches: true,
        groups: found.map((part) => part ?? ""),
        named: Object.fromEntries(named.map(([name, text]) => [name, text ?? ""])),
      };
}

/** No group is repeated, and few things are: such a pattern needs no watch on texts of a hundred characters. */
function isTame(source: string): boolean {
  const bare = source.replaceAll(/\\./g, "x").replaceAll(/\[\^?\]?[^\]]*\]/g, "x");
  const repeats = bare.match(/[*+]|\{[0-9]*,\}/g) ?? [];
  return !/\)(?:[*+]|\{)/.test(bare) && !/\\[1-9]|\\k/.test(source) && repeats.length <= 4;
}

function reads(source: string, flags: string): boolean {
  try {
    new RegExp(source, flags);
    return true;
  } catch {
    return false;
  }
}

/**
 * A pattern of Python's `re.match`, which begins at the beginning of the text, as JavaScript has it: named groups, `\A`, `\Z`
 * and leading flags. What else differs makes the pattern unreadable here (possessive quantifiers, conditionals), never
 * readable in another way.
 */
export function pythonMatcher(source: string): Matcher {
  return python(source, (translated) => `(?<![\\s\\S])(?:${translated})`);
}

/** The same for Python's `re.search`, which finds the pattern anywhere. */
export function pythonSearcher(source: string): Matcher {
  return python(source, (translated) => translated);
}

function python(source: string, placed: (translated: string) => string): Matcher {
  const [, letters = "", rest = source] = /^\(\?([aimsux]+)\)([\s\S]*)$/.exec(source) ?? [];
  const flags = [...new Set(letters)].filter((letter) => letter === "i" || letter === "m" || letter === "s");
  if (letters.includes("x") || /\(\?\(|\(\?#|\(\?<(?![=!])|[*+?}]\+/.test(rest)) return () => null;
  // An escape Python has no meaning for is an error to it, and `]` is a letter at the beginning of a class.
  if (/(?<!\\)(?:\\\\)*\\[CE-RT-VXYaceg-mopqyz]/.test(rest) || /(?<!\\)(?:\\\\)*\[\^?\]/.test(rest))
    return () => null;
  const translated = rest
    .replaceAll(/(?<!\\)((?:\\\\)*)\{,([0-9]+)\}/g, "$1{0,$2}")
    .replaceAll("(?P<", "(?<")
    .replaceAll(/\(\?P=([A-Za-z_]\w*)\)/g, "\\k<$1>")
    .replaceAll(/(?<!\\)((?:\\\\)*)\\A/g, "$1(?<![\\s\\S])")
    .replaceAll(/(?<!\\)((?:\\\\)*)\\Z/g, "$1(?![\\s\\S])");
  // Alone, too: the group around it would close what it leaves open. And a reference needs its group, here it would be empty.
  const groups = [...rest.replaceAll(/\\./g, "").matchAll(/\((?!\?)|\(\?P</g)].length;
  const isDangling =
    [...rest.matchAll(/(?<!\\)(?:\\\\)*\\([1-9][0-9]?)/g)].some(([, number]) => Number(number) > groups) ||
    [...rest.matchAll(/\(\?P=(\w+)\)/g)].some(([, name]) => !rest.includes(`(?P<${name ?? ""}>`));
  if (isDangling || !reads(translated, flags.join(""))) return () => null;
  return matcherOf(placed(translated), flags.join(""));
}

/** A pattern of PCRE, as nginx compiles it; `ignoreCase` for `~*`. */
export function pcreMatcher(source: string, ignoreCase: boolean): Matcher {
  const [, letters = "", rest = source] = /^\(\?([ims]+)\)([\s\S]*)$/.exec(source) ?? [];
  if (/\(\?[|>(#R&]|\\[CEGHKNQRVXeh]|[*+?}]\+|\[\^?\](?!\])/.test(rest)) return () => null;
  const translated = rest
    .replaceAll("(?P<", "(?<")
    .replaceAll(/(?<!\\)((?:\\\\)*)\\A/g, "$1(?<![\\s\\S])")
    .replaceAll(/(?<!\\)((?:\\\\)*)\\[zZ]/g, "$1(?![\\s\\S])")
    .replaceAll("[[:alnum:]]", "[A-Za-z0-9]")
    .replaceAll("[[:alpha:]]", "[A-Za-z]")
    .replaceAll("[[:digit:]]", "[0-9]");
  const flags = new Set([...letters.replaceAll("x", ""), ...(ignoreCase ? ["i"] : [])]);
  return matcherOf(translated, [...flags].join(""));
}
