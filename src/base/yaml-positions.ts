import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import { err, ok, type Result } from "./result.ts";

/** Where something stands in a text: both count from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** A mistake in the YAML itself (syntax, a key written twice, an alias), with its place. */
export interface YamlMistake extends TextPlace {
  readonly message: string;
  /** What to do about it; empty when the message says it. */
  readonly remedy: string;
}

/** A way down into a document: keys of maps and indexes of lists. */
export type KeyPath = readonly (string | number)[];

/** A parsed document: plain data, and where each key and value of it was written. */
export interface YamlDocument {
  /** Maps as plain objects, lists as arrays, scalars; null for an empty document. */
  readonly value: unknown;
  /** Where the value at `path` begins. A path that does not exist answers its nearest existing parent. */
  valuePlace(path: KeyPath): TextPlace;
  /** Where the key that ends `path` is written; for list items and missing keys the same as `valuePlace`. */
  keyPlace(path: KeyPath): TextPlace;
}

/** How a document is read. */
export interface YamlReading {
  /**
   * Anchors, aliases and merge keys (`<<: *common`) are resolved, at most `aliasesMax` of them, and tags of other programs
   * (`!reset`) are passed over: for files that are another program's and follow its habits.
   */
  readonly foreign: boolean;
}

/** Most aliases of a foreign document that are resolved; it bounds what a few lines can expand to. */
export const aliasesMax = 100;

/** Largest YAML text that is read, in characters; beyond it the whole text is one mistake. */
export const yamlTextCharsMax = 1_048_576;

/** Most mistakes of one text that are told: behind a bracket without its end each line is one. */
export const yamlMistakesMax = 20;

/**
 * Reads one YAML 1.2 document. Keys written twice and aliases (`*x`, and with them the billion-laughs
 * expansion) are mistakes: an operator's file says everything where it stands. All mistakes are reported.
 * This is the only file that imports `yaml`.
 */
export function parseYaml(
  text: string,
  { foreign }: YamlReading = { foreign: false },
): Result<YamlDocument, readonly YamlMistake[]> {
  if (text.length > yamlTextCharsMax) {
    return err([
      { line: 1, column: 1, message: `is longer than ${yamlTextCharsMax} characters`, remedy: "" },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    stringKeys: true,
    version: "1.2",
    merge: foreign,
  });
  const placeAt = (offset: number): TextPlace => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const mistakes: YamlMistake[] = [];
  for (const error of foreign ? document.errors : [...document.errors, ...document.warnings]) {
    const rest = text.slice(error.pos[0]);
    const words = inOurWords(error, rest);
    // Behind the first one every word of the rest is another.
    if (words.message === astray.message && mistakes.some(({ message }) => message === words.message))
      continue;
    // Behind a key without a value the library points at the end of that, lines before the second of its name.
    const blank = /^(?:\s|#.*\n)*/.exec(rest)?.[0].length ?? 0;
    mistakes.push({ ...placeAt(error.pos[0] + (error.code === "DUPLICATE_KEY" ? blank : 0)), ...words });
  }
  const tooDeep = mistakes.find(({ message }) => message === deep.message);
  // What follows from giving up there is nothing the author wrote.
  if (tooDeep !== undefined) return err([tooDeep]);
  if (!foreign) {
    visit(document, {
      Alias(_key, node) {
        mistakes.push({
          ...placeAt(node.range?.[0] ?? 0),
          message: `alias "*${node.source}" is not allowed`,
          remedy: 'write what it stands for; a text that begins with "*" goes in quotes',
        });
      },
    });
  }
  if (mistakes.length > 0) {
    return err(mistakes.slice(0, yamlMistakesMax));
  }

  const root: Node | null = document.contents;
  const offsets = (path: KeyPath): { key: number; value: number } => {
    let node: unknown = root;
    let found = { key: startOf(node) ?? 0, value: startOf(node) ?? 0 };
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === step);
        if (pair === undefined) {
          return found;
        }
        const key = startOf(pair.key) ?? found.key;
        found = { key, value: startOf(pair.value) ?? key };
        node = pair.value;
      } else if (isSeq(node) && typeof step === "number") {
        const item: unknown = node.items[step];
        const value = startOf(item);
        if (value === undefined) {
          return found;
        }
        found = { key: value, value };
        node = item;
      } else {
        return found;
      }
    }
    return found;
  };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: foreign ? aliasesMax : 0 });
  } catch (error) {
    // Only aliases throw here: too many of them, or one without its anchor.
    const message = error instanceof Error ? error.message : String(error);
    return err([{ line: 1, column: 1, message, remedy: "" }]);
  }
  return ok({
    value,
    valuePlace: (path) => placeAt(offsets(path).value),
    keyPlace: (path) => placeAt(offsets(path).key),
  });
}

const deep = { message: "is nested too deeply", remedy: "is a bracket or a brace missing its end?" };

const astray = {
  message: "what begins here belongs to nothing before it",
  remedy: "indent it like the lines around it, or put the text in quotes",
};

/** The library's message where it says enough; where it speaks to programmers, ours. `rest`: the text from there on. */
function inOurWords({ code, message }: YAMLError, rest: string): Pick<YamlMistake, "message" | "remedy"> {
  switch (code) {
    case "MULTIPLE_DOCS":
      return { message: "a second document begins here", remedy: 'take the line "---" or "..." out' };
    case "DUPLICATE_KEY": {
      const key = /^(?:\s|#.*\n)*([\w./-]{1,60})(?=\s*:)/.exec(rest)?.[1];
      const thing = key === undefined ? "a key" : `key ${key}`;
      return { message: `${thing} is written twice: keys of a map are unique`, remedy: "keep one of them" };
    }
    case "RESOURCE_EXHAUSTION":
      return deep;
    case "TAB_AS_INDENT":
      return { message, remedy: "indent with spaces" };
    case "BAD_SCALAR_START":
      return { message, remedy: "put the text in quotes" };
    case "BLOCK_AS_IMPLICIT_KEY":
      return { message, remedy: "a text with a colon and a space in it goes in quotes" };
    case "BAD_INDENT":
      if (message.includes("and end with a"))
        return {
          message: `${message[message.length - 1]} is missing before this`,
          remedy: "close the list or map",
        };
      return { message, remedy: "keys of one map, and entries of one list, begin in the same column" };
    case "TAG_RESOLVE_FAILED":
      return { message, remedy: 'take it out; a text that begins with "!" goes in quotes' };
    case "MULTILINE_IMPLICIT_KEY":
      return { message, remedy: 'write "key: value", with a space behind the colon' };
    case "UNEXPECTED_TOKEN":
      return /in YAML stream|at node end/.test(message) ? astray : { message, remedy: "" };
    case "NON_STRING_KEY":
      return { message: "a key must be a text", remedy: "" };
    default:
      return { message, remedy: "" };
  }
}

function startOf(node: unknown): number | undefined {
  if (isScalar(node) || isMap(node) || isSeq(node)) {
    return node.range?.[0];
  }
  return undefined;
}
