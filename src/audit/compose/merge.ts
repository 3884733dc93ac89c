/** Compose files laid over each other as `docker compose -f a -f b` does, with the place of every value. Pure. */
import type { KeyPath, YamlDocument } from "../../base/yaml-positions.ts";
import type { Place } from "../../report/finding.ts";

/** A file as it was parsed. */
export interface Source {
  readonly file: string;
  readonly lines: readonly string[];
  readonly document: YamlDocument;
}

/** A value and where each part of it stands. */
export interface Tree {
  readonly value: unknown;
  readonly valuePlace: (path: KeyPath) => Place;
  readonly keyPlace: (path: KeyPath) => Place;
  /** The tag `!reset` or `!override` in front of the value at a path. */
  readonly tagOf: (path: KeyPath) => "reset" | "override" | null;
}

export function treeOf({ file, lines, document }: Source): Tree {
  // Most files have none, and to find a place takes time.
  const hasTags = lines.some((line) => /!(?:reset|override)\b/.test(line));
  const keyPlace = (path: KeyPath): Place => ({ file, line: document.keyPlace(path).line });
  return {
    value: document.value,
    valuePlace: (path) => ({ file, line: document.valuePlace(path).line }),
    keyPlace,
    tagOf: (path) => {
      if (!hasTags) return null;
      const line = lines[(keyPlace(path).line ?? 0) - 1] ?? "";
      const tag = /:\s*!(reset|override)\b/.exec(line)?.[1];
      return tag === "reset" || tag === "override" ? tag : null;
    },
  };
}

/** The part of a tree below a path. */
export function below(tree: Tree, path: KeyPath): Tree {
  let value: unknown = tree.value;
  for (const key of path) value = isMap(value) || Array.isArray(value) ? own(value, key) : undefined;
  return {
    value,
    valuePlace: (rest) => tree.valuePlace([...path, ...rest]),
    keyPlace: (rest) => tree.keyPlace([...path, ...rest]),
    tagOf: (rest) => tree.tagOf([...path, ...rest]),
  };
}

/** `{ key: tree }` for each. */
export function mapOf(trees: ReadonlyMap<string, Tree>, around: Tree): Tree {
  const pick = (path: KeyPath): readonly [tree: Tree, rest: KeyPath] | null => {
    const tree = trees.get(String(path[0]));
    return path.length === 0 || tree === undefined ? null : [tree, path.slice(1)];
  };
  return {
    value: Object.fromEntries([...trees].map(([key, { value }]) => [key, value])),
    valuePlace: (path) => {
      const found = pick(path);
      return found === null ? around.valuePlace(path) : found[0].valuePlace(found[1]);
    },
    keyPlace: (path) => {
      const found = pick(path);
      return found === null ? around.keyPlace(path) : found[0].keyPlace(found[1]);
    },
    tagOf: (path) => {
      const found = pick(path);
      return found === null ? around.tagOf(path) : found[0].tagOf(found[1]);
    },
  };
}

/** Lists that the later file replaces; all others are added to. */
const replaced = /^(?:command|entrypoint|test)$/;
/** Lists of NAME or NAME=VALUE that are maps as well. */
const keyed = /^(?:environment|labels|depends_on|networks|sysctls|args|extra_hosts)$/;

/** `over` laid over `base`; `key` is the name under which both stand. */
export function merged(base: Tree, over: Tree, key = ""): Tree {
  if (over.value === undefined || base.value === undefined || base.value === null)
    return over.value === undefined ? base : over;
  const tag = over.tagOf([]);
  if (tag !== null) return over;
  if (keyed.test(key) && (Array.isArray(base.value) || Array.isArray(over.value)))
    return merged(asMap(base), asMap(over));
  if (isMap(base.value) && isMap(over.value)) {
    const parts = new Map<string, Tree>();
    for (const name of new Set([...Object.keys(base.value), ...Object.keys(over.value)]))
      parts.set(name, merged(below(base, [name]), below(over, [name]), name));
    return mapOf(parts, base);
  }
  const isList = Array.isArray(base.value) || Array.isArray(over.value);
  if (!isList || replaced.test(key) || over.value === null) return over.value === null ? base : over;
  return joined(base, over, key);
}

/** One list behind the other; a volume takes the place of one with the same target, and nothing stands twice. */
function joined(base: Tree, over: Tree, key: string): Tree {
  const items = new Map<string, Tree>();
  for (const tree of [base, over]) {
    const length = Array.isArray(tree.value) ? tree.value.length : -1;
    for (let index = 0; index < Math.max(1, length); index += 1) {
      if (length === 0) break;
      const item = length === -1 ? tree : below(tree, [index]);
      items.set(key === "volumes" ? targetOf(item.value) : JSON.stringify(item.value), item);
    }
  }
  const list = [...items.values()];
  const map = mapOf(new Map(list.map((tree, index) => [String(index), tree])), base);
  return { ...map, value: list.map(({ value }) => value) };
}

function targetOf(item: unknown): string {
  if (isMap(item)) return String(own(item, "target"));
  const text = String(item);
  const parts = text.split(":");
  return text.includes("$") || parts.length < 2 ? text : (parts[1] ?? text);
}

/** `[A=1, B]` as `{ A: 1, B: null }`. */
function asMap(tree: Tree): Tree {
  if (!Array.isArray(tree.value)) return tree;
  const parts = new Map<string, Tree>();
  for (const [index, item] of tree.value.entries()) {
    const text = typeof item === "string" ? item : "";
    const [, name = text, value = null] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    if (name !== "") parts.set(name, { ...below(tree, [index]), value });
  }
  return mapOf(parts, tree);
}

function own(node: object, key: string | number): unknown {
  return Object.hasOwn(node, key) ? Reflect.get(node, key) : undefined;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
