import { nearestName } from "../base/nearest.ts";
import type { Problem } from "../base/problem.ts";
import { type KeyPath, parseYaml, type YamlDocument } from "../base/yaml-positions.ts";
import { forwardOnlyKeys, type LimitDocument, type RuleDocument, verdictKeys } from "./rule-document.ts";
import { fileKeys, isId, type Shaped, type ShapeMistake, shapeLimit, shapeRule } from "./schema.ts";

/** A rule or limit with the places of its parts, for the problems that need more than one of them. */
export interface Located<T> {
  readonly document: T;
  /** Relative, as operators name it: `policies/20-login.yaml`. */
  readonly file: string;
  /** Where it begins. */
  readonly line: number;
  /** `file:line:column` of the value at `path` inside it. */
  readonly placeOf: (path: KeyPath) => string;
}

export interface LocatedLimit extends Located<LimitDocument> {
  readonly name: string;
}

export interface DecodedFile {
  readonly rules: readonly Located<RuleDocument>[];
  readonly limits: readonly LocatedLimit[];
  readonly problems: readonly Problem[];
}

/** Most rules one file may hold. */
export const rulesPerFileMax = 1_000;

/**
 * Reads one policy file. A mistake in one rule hides nothing of the others: each is decoded alone, and all
 * problems of the file come back together, in the order of the text.
 */
export function decodePolicyFile(file: string, text: string): DecodedFile {
  const yaml = parseYaml(text);
  if (!yaml.ok) {
    const problems = yaml.error.map((mistake) => ({
      place: `${file}:${mistake.line}:${mistake.column}`,
      thing: mistake.message,
      remedy: mistake.remedy,
    }));
    return { rules: [], limits: [], problems };
  }
  const reader = new FileReader(file, yaml.value);
  reader.read();
  return {
    rules: reader.rules,
    limits: reader.limits,
    problems: reader.found.sort((a, b) => a.line - b.line || a.column - b.column).map((one) => one.problem),
  };
}

interface Found {
  readonly line: number;
  readonly column: number;
  readonly problem: Problem;
}

/** One file while it is read: collects what is good and what is wrong. */
class FileReader {
  readonly rules: Located<RuleDocument>[] = [];
  readonly limits: LocatedLimit[] = [];
  readonly found: Found[] = [];
  readonly #file: string;
  readonly #yaml: YamlDocument;

  constructor(file: string, yaml: YamlDocument) {
    this.#file = file;
    this.#yaml = yaml;
  }

  read(): void {
    const root = this.#yaml.value;
    if (root === null) {
      return;
    }
    if (!isMapping(root)) {
      this.#note([], "value", "a policy file must be a map with the keys limits and rules");
      return;
    }
    for (const [key, value] of Object.entries(root)) {
      switch (key) {
        case "limits":
          this.#readLimits(value);
          break;
        case "rules":
          this.#readRules(value);
          break;
        default:
          this.#note([key], "key", unknownText(key, fileKeys));
      }
    }
  }

  #readLimits(value: unknown): void {
    if (!isMapping(value)) {
      this.#note(["limits"], "value", "limits must be a map of names to rates");
      return;
    }
    for (const [name, raw] of Object.entries(value)) {
      const base = ["limits", name];
      if (!isId(name)) {
        this.#note(
          base,
          "key",
          `limits ${JSON.stringify(name)} must be kebab-case: small letters, digits and "-"`,
        );
      }
      const shaped = shapeLimit(raw);
      this.#noteMistakes(base, `limits.${name}`, raw, shaped);
      if (shaped.ok) {
        this.limits.push({ ...this.#located(base, shaped.value), name });
      }
    }
  }

  #readRules(value: unknown): void {
    if (!Array.isArray(value)) {
      this.#note(["rules"], "value", "rules must be a list");
      return;
    }
    if (value.length > rulesPerFileMax) {
      this.#note(["rules"], "value", `rules must not have more than ${rulesPerFileMax} entries`);
      return;
    }
    const items: readonly unknown[] = value;
    for (const [index, raw] of items.entries()) {
      const base = ["rules", index];
      const shaped = shapeRule(raw);
      this.#noteMistakes(base, "", raw, shaped);
      const verdictsRight = this.#checkVerdict(base, raw);
      if (shaped.ok && verdictsRight) {
        this.rules.push(this.#located(base, shaped.value));
      }
    }
  }

  /** Exactly one verdict, and what only a forward can carry stands only beside one. */
  #checkVerdict(base: KeyPath, raw: unknown): boolean {
    if (!isMapping(raw)) {
      return false;
    }
    const verdicts = verdictKeys.filter((key) => key in raw);
    if (verdicts.length !== 1) {
      const given =
        verdicts.length === 0 ? "has no verdict" : `has several verdicts: ${verdicts.join(" and ")}`;
      this.#note(base, "value", `${ruleName(raw)} ${given}`, `give exactly one of ${verdictKeys.join(", ")}`);
      return false;
    }
    const refuses = verdicts[0] === "deny" || verdicts[0] === "drop";
    if ("strike" in raw && !refuses) {
      this.#note(
        [...base, "strike"],
        "key",
        `strike has no meaning beside ${verdicts[0]}`,
        'it belongs to "deny" or "drop"',
      );
      return false;
    }
    const misplaced = verdicts[0] === "forward" ? [] : forwardOnlyKeys.filter((key) => key in raw);
    for (const key of misplaced) {
      this.#note(
        [...base, key],
        "key",
        `${key} has no meaning beside ${verdicts[0]}`,
        'it belongs to "forward"',
      );
    }
    return misplaced.length === 0;
  }

  #noteMistakes(base: KeyPath, prefix: string, raw: unknown, shaped: Shaped<unknown>): void {
    if (shaped.ok) {
      return;
    }
    for (const mistake of shaped.mistakes) {
      this.#note([...base, ...mistake.path], mistake.at, mistakeText(prefix, raw, mistake));
    }
  }

  #located<T>(base: KeyPath, document: T): Located<T> {
    return {
      document,
      file: this.#file,
      line: this.#yaml.keyPlace(base).line,
      placeOf: (path) => {
        const { line, column } = this.#yaml.valuePlace([...base, ...path]);
        return `${this.#file}:${line}:${column}`;
      },
    };
  }

  #note(path: KeyPath, at: "key" | "value", thing: string, remedy = ""): void {
    const { line, column } = at === "key" ? this.#yaml.keyPlace(path) : this.#yaml.valuePlace(path);
    this.found.push({ line, column, problem: { place: `${this.#file}:${line}:${column}`, thing, remedy } });
  }
}

function mistakeText(prefix: string, raw: unknown, mistake: ShapeMistake): string {
  if (mistake.unknownKey !== null) {
    const parent = keyText(prefix, mistake.path.slice(0, -1));
    return `${parent === "" ? "" : `${parent}: `}${unknownText(mistake.unknownKey.key, mistake.unknownKey.known)}`;
  }
  const key = keyText(prefix, mistake.path);
  const value = valueText(raw, mistake.path);
  return [key === "" ? "entry" : key, value, mistake.message].filter((part) => part !== "").join(" ");
}

/** `match.path`; indexes of lists are left out, the place says which. */
function keyText(prefix: string, path: KeyPath): string {
  return [prefix, ...path.filter((step) => typeof step === "string")].filter((part) => part !== "").join(".");
}

/** The value as written when it is short and simple; messages quote it. */
function valueText(raw: unknown, path: KeyPath): string {
  let value = raw;
  for (const step of path) {
    value = typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined;
  }
  if (typeof value === "string") {
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  }
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

function unknownText(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known);
  return nearest === null
    ? `key ${JSON.stringify(key)} is not known here (known: ${known.join(", ")})`
    : `key ${JSON.stringify(key)} is not known here, did you mean ${JSON.stringify(nearest)}?`;
}

function ruleName(raw: Readonly<Record<string, unknown>>): string {
  const id = raw["id"];
  return typeof id === "string" ? `rule ${id}` : "a rule";
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
