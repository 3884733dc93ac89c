/** A compose file as services with places. Pure. */
import { err, ok, type Result } from "../../base/result.ts";
import type { KeyPath } from "../../base/yaml-positions.ts";
import type { Place } from "../../report/finding.ts";
import type { Tree } from "./merge.ts";
import { type ComposeMistake, type ComposeText, type ReadCompose, readProject } from "./project.ts";
import { envLines, interpolate, type Variables } from "./variables.ts";

/** Most services that are looked at. */
export const servicesMax = 200;

export type ServiceKind = "odoo" | "postgres" | "proxy" | "other";

/** The text of a file that `env_file` names, by its name as it is written, and the file for a place; null: it is not here. */
export type ReadEnvFile = (name: string) => { readonly file: string; readonly text: string } | null;

/** A value with where it stands. */
export interface Placed<T> {
  readonly value: T;
  readonly place: Place;
}

export interface EnvironmentEntry {
  readonly name: string;
  /** As it is written, `${…}` included. */
  readonly written: string;
  /** After substitution; null when a variable of it is unknown. */
  readonly resolved: string | null;
  readonly place: Place;
}

export class Service {
  readonly name: string;
  readonly place: Place;
  readonly kind: ServiceKind;
  /** It extends another service, or has neither image nor build: the rest of it stands elsewhere. */
  readonly isPart: boolean;
  readonly #compose: ComposeFile;
  readonly #node: Readonly<Record<string, unknown>>;

  constructor(name: string, node: Readonly<Record<string, unknown>>, compose: ComposeFile) {
    this.name = name;
    this.#node = node;
    this.#compose = compose;
    this.place = compose.keyPlace(["services", name]);
    this.kind = kindOf(name, this.text("image") ?? "", this.has("build"));
    this.isPart = this.has("extends") || (!this.has("image") && !this.has("build"));
  }

  has(key: string): boolean {
    return this.#node[key] !== undefined && this.#node[key] !== null;
  }

  /** The raw value below a key. */
  at(...keys: string[]): unknown {
    let node: unknown = this.#node;
    for (const key of keys) node = isRecord(node) ? node[key] : undefined;
    return node;
  }

  /** A scalar as text, variables substituted where they are known. */
  text(...keys: string[]): string | null {
    const value = scalar(this.at(...keys));
    return value === null ? null : (interpolate(value, this.#compose.variables).text ?? value);
  }

  /** Any scalar as text, variables substituted, `standIn` for those that are not known; empty for anything else. */
  filled(value: unknown, standIn: string): string {
    return interpolate(scalar(value) ?? "", this.#compose.variables, standIn).text ?? "";
  }

  /** A list of scalars (`[a, b]`, or one scalar) with places. */
  list(...keys: string[]): readonly Placed<string>[] {
    const value = this.at(...keys);
    const items: readonly unknown[] = Array.isArray(value)
      ? value
      : value === undefined || value === null
        ? []
        : [value];
    return items.flatMap((item, index) => {
      const one = scalar(item);
      if (one === null) return [];
      const place = this.placeOf(...keys, ...(Array.isArray(value) ? [index] : []));
      return [{ value: interpolate(one, this.#compose.variables).text ?? one, place }];
    });
  }

  placeOf(...keys: (string | number)[]): Place {
    return this.#compose.valuePlace(["services", this.name, ...keys]);
  }

  /** `environment`, as a map or a list of NAME=VALUE. Names without a value come from outside and are left out. */
  environment(): readonly EnvironmentEntry[] {
    const value = this.at("environment");
    const pairs: [string, string, (string | number)[]][] = [];
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        const text = scalar(item) ?? "";
        const cut = text.indexOf("=");
        if (cut > 0) pairs.push([text.slice(0, cut), text.slice(cut + 1), ["environment", index]]);
      }
    } else if (isRecord(value))
      for (const [name, item] of Object.entries(value)) {
        const text = scalar(item);
        if (text !== null) pairs.push([name, text, ["environment", name]]);
      }
    return pairs.map(([name, written, keys]) => ({
      name,
      written,
      resolved: interpolate(written, this.#compose.variables).text,
      place: this.placeOf(...keys),
    }));
  }

  /** Names behind `env_file`, variables substituted. */
  envFiles(): readonly Placed<string>[] {
    const value = this.at("env_file");
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    return items.flatMap((item, index) => {
      const name = this.filled(isRecord(item) ? item["path"] : item, "");
      const place = this.placeOf("env_file", ...(Array.isArray(value) ? [index] : []));
      return name === "" ? [] : [{ value: name, place }];
    });
  }

  /** `environment` over what the files of `env_file` set, as the container gets it. */
  wholeEnvironment(): readonly EnvironmentEntry[] {
    const own = this.environment();
    const names = new Set(own.map(({ name }) => name));
    const fromFiles = new Map<string, EnvironmentEntry>();
    for (const { value } of this.envFiles()) {
      const read = this.#compose.readEnvFile(value);
      for (const { name, value: text, line } of read === null ? [] : envLines(read.text))
        fromFiles.set(name, {
          name,
          written: text,
          resolved: interpolate(text, this.#compose.variables).text,
          place: { file: read?.file ?? value, line },
        });
    }
    return [...[...fromFiles.values()].filter(({ name }) => !names.has(name)), ...own];
  }

  /** The words of command and entrypoint, variables substituted; `written` is the word as it stands in the file. */
  words(): readonly (Placed<string> & { readonly written: string })[] {
    return ["entrypoint", "command"].flatMap((key) => {
      const value = this.at(key);
      const items: readonly unknown[] = Array.isArray(value) ? value : [value];
      return items.flatMap((item, index) => {
        const place = this.placeOf(key, ...(Array.isArray(value) ? [index] : []));
        return piecesOf(scalar(item) ?? "").flatMap((written) =>
          piecesOf(interpolate(written, this.#compose.variables).text ?? written).map((one) => ({
            value: one.replaceAll(/^(["'])(.*)\1$|(?<==)(["'])(.*)\3$/gs, "$2$4"),
            written,
            place,
          })),
        );
      });
    });
  }

  /** Names of its networks; `default` when none is named. */
  networks(): readonly string[] {
    const value = this.at("networks");
    const names = Array.isArray(value)
      ? value.flatMap((one) => scalar(one) ?? [])
      : isRecord(value)
        ? Object.keys(value)
        : [];
    return names.length > 0 ? names : ["default"];
  }
}

export class ComposeFile {
  readonly file: string;
  readonly variables: Variables;
  readonly readEnvFile: ReadEnvFile;
  readonly services: readonly Service[];
  /** Every file of the project, and what of it is not known. */
  readonly files: readonly string[];
  readonly unread: readonly ComposeMistake[];
  readonly #tree: Tree;

  constructor(
    project: {
      readonly tree: Tree;
      readonly files: readonly string[];
      readonly unread: readonly ComposeMistake[];
    },
    variables: Variables,
    readEnvFile: ReadEnvFile,
  ) {
    this.file = project.files[0] ?? "";
    this.files = project.files;
    this.unread = project.unread;
    this.readEnvFile = readEnvFile;
    this.variables = variables;
    this.#tree = project.tree;
    this.services = Object.entries(this.record("services"))
      .slice(0, servicesMax)
      .map(([name, node]) => new Service(name, isRecord(node) ? node : {}, this));
  }

  /** A top-level map; empty when there is none. */
  record(key: string): Readonly<Record<string, unknown>> {
    const { value } = this.#tree;
    const node = isRecord(value) ? value[key] : undefined;
    return isRecord(node) ? node : {};
  }

  valuePlace(path: KeyPath): Place {
    return this.#tree.valuePlace(path);
  }

  keyPlace(path: KeyPath): Place {
    return this.#tree.keyPlace(path);
  }
}

/** Reads the files of one project; every mistake of their YAML, or that there is no service in them. */
export function readCompose(
  texts: readonly ComposeText[],
  read: ReadCompose,
  variables: Variables,
  readEnvFile: ReadEnvFile,
): Result<ComposeFile, readonly ComposeMistake[]> {
  const project = readProject(texts, read, variables);
  if (!project.ok) return project;
  const compose = new ComposeFile(project.value, variables, readEnvFile);
  return compose.services.length === 0
    ? err([{ place: { file: compose.file, line: 1 }, thing: "there is no service in it" }])
    : ok(compose);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function scalar(value: unknown): string | null {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : null;
}

function piecesOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((one) => one !== "");
}

/** Programs that only work with the main ones. */
const helper = /exporter|backup|bouncer|pgadmin|adminer|duplicity|upgrade|pgweb|socket-proxy/;

/** What a service is, by the last part of its image's name, else by its own. */
function kindOf(name: string, image: string, isBuilt: boolean): ServiceKind {
  const base = image.split("@")[0]?.split("/").at(-1)?.split(":")[0]?.toLowerCase() ?? "";
  if (helper.test(base)) return "other";
  if (/gateway|nginx|traefik|caddy|haproxy|envoy/.test(base)) return "proxy";
  if (/postgres|postgis|pgvector|timescale/.test(base)) return "postgres";
  if (/odoo|openerp|openspp/.test(base)) return "odoo";
  // An image that only a variable names says nothing.
  if (!isBuilt && base !== "" && !image.includes("$")) return "other";
  if (helper.test(name.toLowerCase())) return "other";
  if (/gateway|nginx|traefik|caddy|proxy/i.test(name)) return "proxy";
  if (/^(?:db|database|postgres(?:ql)?|pg)$/i.test(name)) return "postgres";
  return /odoo|openerp|openspp/i.test(name) ? "odoo" : "other";
}
