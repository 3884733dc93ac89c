/** A project of compose: its files laid over each other, with what they include and extend. Pure; files come as an argument. */
import { dirname, isAbsolute, join } from "node:path";
import { err, ok, type Result } from "../../base/result.ts";
import { parseYaml } from "../../base/yaml-positions.ts";
import type { Place } from "../../report/finding.ts";
import { below, mapOf, merged, type Tree, treeOf } from "./merge.ts";
import { interpolate, type Variables } from "./variables.ts";

export interface ComposeText {
  readonly file: string;
  readonly text: string;
}

/** The text of a file by its path as a compose file has it, relative to the folder the audit runs in; null: it is not here. */
export type ReadCompose = (path: string) => ComposeText | null;

/** What is wrong with a file that is no compose file at all. */
export interface ComposeMistake {
  readonly place: Place;
  readonly thing: string;
}

export interface Project {
  readonly tree: Tree;
  /** Every file that was read, the first named one first. */
  readonly files: readonly string[];
  /** Includes and extended services that are not known. */
  readonly unread: readonly ComposeMistake[];
}

/** Most files of one project, and how deep they may include and extend each other. */
export const projectFilesMax = 50;
const depthMax = 10;

/** All mistakes of the YAML of the files, or the project. */
export function readProject(
  texts: readonly ComposeText[],
  read: ReadCompose,
  variables: Variables,
): Result<Project, readonly ComposeMistake[]> {
  const loader = new Loader(read, variables);
  const tree = loader.layers(texts, 0, "");
  if (loader.mistakes.length > 0) return err(loader.mistakes.slice(0, 20));
  return ok({ tree, files: [...loader.files], unread: loader.unread });
}

const empty: Tree = {
  value: {},
  valuePlace: () => ({ file: "", line: null }),
  keyPlace: () => ({ file: "", line: null }),
  tagOf: () => null,
};

class Loader {
  readonly mistakes: ComposeMistake[] = [];
  readonly unread: ComposeMistake[] = [];
  readonly files = new Set<string>();
  readonly #read: ReadCompose;
  readonly #variables: Variables;
  readonly #parsed = new Map<string, Tree | null>();
  /** Services that were extended; each may extend others. */
  #extended = 0;
  #included = 0;

  constructor(read: ReadCompose, variables: Variables) {
    this.#read = read;
    this.#variables = variables;
  }

  /** Files over each other; `folder` is where their relative paths begin, seen from the project's own. */
  layers(texts: readonly ComposeText[], depth: number, folder: string): Tree {
    let tree: Tree | null = null;
    const included: Tree[] = [];
    for (const one of texts) {
      const own = this.#parse(one);
      if (own === null) continue;
      included.push(...this.#includes(own, one.file, depth, folder));
      const whole = moved(this.#withExtended(own, one.file, depth), folder);
      tree = tree === null ? whole : merged(tree, whole);
    }
    // What is included lies below what includes it.
    for (const one of included) tree = tree === null ? one : merged(one, tree);
    return tree ?? empty;
  }

  #parse({ file, text }: ComposeText): Tree | null {
    const known = this.#parsed.get(file);
    if (known !== undefined) return known;
    if (this.files.size >= projectFilesMax) {
      this.unread.push({ place: { file, line: null }, thing: `is one file more than ${projectFilesMax}` });
      return null;
    }
    this.files.add(file);
    const parsed = parseYaml(text, { foreign: true });
    const tree = parsed.ok ? treeOf({ file, lines: text.split(/\r?\n/), document: parsed.value }) : null;
    if (!parsed.ok)
      for (const { line, message } of parsed.error)
        this.mistakes.push({ place: { file, line }, thing: message });
    this.#parsed.set(file, tree);
    return tree;
  }

  #includes(tree: Tree, file: string, depth: number, folder: string): readonly Tree[] {
    const { value } = below(tree, ["include"]);
    return (Array.isArray(value) ? value : []).flatMap((item: unknown, index) => {
      const place = tree.valuePlace(["include", index]);
      const written: unknown = isRecord(item) ? item["path"] : item;
      const paths = (Array.isArray(written) ? written : [written]).filter((one) => typeof one === "string");
      const texts = paths.flatMap((path) => this.#text(path, file, place, "include") ?? []);
      const [first] = texts;
      this.#included += 1;
      // Files may include each other in a circle, and each of them several times.
      if (first === undefined || depth >= depthMax || this.#included > projectFilesMax) return [];
      const relative = typeof paths[0] === "string" && !isAbsolute(paths[0]) ? dirname(paths[0]) : "";
      return [this.layers(texts, depth + 1, join(folder, relative))];
    });
  }

  #text(path: string, from: string, place: Place, key: string): ComposeText | null {
    const name = interpolate(path, this.#variables).text ?? path;
    const text = this.#read(isAbsolute(name) ? name : join(dirname(from), name));
    if (text === null)
      this.unread.push({ place, thing: `${key} ${JSON.stringify(name.slice(0, 200))} is not here` });
    return text;
  }

  #withExtended(tree: Tree, file: string, depth: number): Tree {
    const { value } = below(tree, ["services"]);
    if (
      !isRecord(value) ||
      !Object.values(value).some((one) => isRecord(one) && one["extends"] !== undefined)
    )
      return tree;
    const services = new Map(
      Object.keys(value).map((name) => [
        name,
        this.#service(below(tree, ["services", name]), tree, file, depth),
      ]),
    );
    const parts = new Map(
      isRecord(tree.value) ? Object.keys(tree.value).map((key) => [key, below(tree, [key])]) : [],
    );
    return mapOf(parts.set("services", mapOf(services, below(tree, ["services"]))), tree);
  }

  /** A service over the one it extends; one that is not known leaves `extends` where it is. */
  #service(service: Tree, tree: Tree, file: string, depth: number): Tree {
    const node: unknown = isRecord(service.value) ? service.value["extends"] : undefined;
    if (node === undefined) return service;
    const place = service.valuePlace(["extends"]);
    const name: unknown = isRecord(node) ? node["service"] : node;
    const path: unknown = isRecord(node) ? node["file"] : undefined;
    this.#extended += 1;
    if (typeof name !== "string" || depth >= depthMax || this.#extended > 500) return service;
    let around: Tree | null = tree;
    let from = file;
    if (typeof path === "string") {
      const text = this.#text(path, file, place, "extends");
      around = text === null ? null : this.#parse(text);
      from = text?.file ?? file;
    }
    if (around === null) return service;
    const base = below(around, ["services", name]);
    if (!isRecord(base.value)) {
      this.unread.push({
        place,
        thing: `extends ${JSON.stringify(name.slice(0, 200))}, and there is no such service`,
      });
      return service;
    }
    const folder = typeof path === "string" && !isAbsolute(path) ? dirname(path) : "";
    const whole = moved(this.#service(base, around, from, depth + 1), folder, true);
    const parts = new Map(
      isRecord(service.value)
        ? Object.keys(service.value)
            .filter((key) => key !== "extends")
            .map((key) => [key, below(service, [key])])
        : [],
    );
    const both = merged(whole, mapOf(parts, service));
    // What the service lacks is said of it, not of the one it extends.
    return {
      ...both,
      valuePlace: (keys) => (keys.length === 0 ? service : both).valuePlace(keys),
      keyPlace: (keys) => (keys.length === 0 ? service : both).keyPlace(keys),
    };
  }
}

/** `env_file` of a file in another folder, as it is seen from the project's own. */
function moved(tree: Tree, folder: string, isService = false): Tree {
  if (folder === "" || folder === "." || !isRecord(tree.value)) return tree;
  const keys = Object.keys(tree.value);
  const parts = new Map(keys.map((key) => [key, below(tree, [key])]));
  const services = parts.get("services");
  if (!isService && services !== undefined && isRecord(services.value)) {
    const each = new Map(
      Object.keys(services.value).map((name) => [name, moved(below(services, [name]), folder, true)]),
    );
    return mapOf(parts.set("services", mapOf(each, services)), tree);
  }
  const files = parts.get("env_file");
  if (!isService || files === undefined) return tree;
  const from = (item: unknown): unknown =>
    typeof item === "string"
      ? isAbsolute(item) || item.startsWith("$")
        ? item
        : join(folder, item)
      : isRecord(item)
        ? { ...item, path: from(item["path"]) }
        : item;
  const value = Array.isArray(files.value) ? files.value.map(from) : from(files.value);
  return mapOf(parts.set("env_file", { ...files, value }), tree);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
