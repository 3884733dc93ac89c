import { isAbsolute, resolve } from "node:path";
import { editDistance, nearestName, sameWords } from "../base/nearest.ts";
import type { Problem } from "../base/problem.ts";
import { parseYaml, type TextPlace, type YamlDocument } from "../base/yaml-positions.ts";
import { shown as quoted } from "./complaint.ts";
import type { ReadFile } from "./read-file.ts";
import { isSectionName, type Section, type SectionName, sectionNames } from "./sections.ts";
import {
  isListType,
  isSecretType,
  isSettingName,
  type SettingName,
  settingNames,
  settingRow,
} from "./table.ts";

/** The texts given for one setting, and where each of them stands. */
export interface GivenSetting {
  /** The name as it is spelt where it was given: `ODOO_URL` or `odoo_url`. */
  readonly spelling: string;
  readonly place: string;
  /** One text, or the items of a list. */
  readonly items: readonly { readonly text: string; readonly place: string }[];
}

export interface Given {
  readonly settings: ReadonlyMap<SettingName, GivenSetting>;
  /** Parts of gateway.yaml that are no single values. */
  readonly sections: ReadonlyMap<SectionName, Section>;
  readonly problems: readonly Problem[];
}

interface Gathered {
  readonly settings: Map<SettingName, GivenSetting>;
  readonly sections: Map<SectionName, Section>;
  readonly problems: Problem[];
}

/** Longest text of one setting, in characters, and most items of a list. */
export const settingCharsMax = 65_536;
export const settingItemsMax = 10_000;

/**
 * Variables of other programs that stand near one of our names: OpenSSL's certificate bundle, Odoo's own configuration file in the image
 * of Odoo and the user it runs as, systemd's CacheDirectory=, and the database of PostgreSQL's clients.
 */
const foreignVariables: ReadonlySet<string> = new Set([
  "SSL_CERT_FILE",
  "SSL_KEY_FILE",
  "ODOO_RC",
  "ODOO_UID",
  "CACHE_DIRECTORY",
  "PGDATABASE",
]);

/** A list of commas alone: two variables that were put together, and both are empty. */
const emptyList = { thing: "names nothing", remedy: "name an entry, or leave it out" };

/** Gathers what the environment and gateway.yaml say, as text; the environment wins. Values are not judged here. */
export function gatherSettings(
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
  readFile: ReadFile,
): Given {
  const settings = new Map<SettingName, GivenSetting>();
  const sections = new Map<SectionName, Section>();
  const problems: Problem[] = [];
  readYamlFile(env["GATEWAY_FILE"]?.trim() ?? "", cwd, readFile, { settings, sections, problems });
  readEnvironment(env, settings, problems);
  return { settings, sections, problems };
}

function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  settings: Map<SettingName, GivenSetting>,
  problems: Problem[],
): void {
  const place = "environment";
  for (const [name, value] of Object.entries(env)) {
    if (!isSettingName(name)) {
      const meant = meantVariable(name);
      if (meant !== null && value !== undefined && value.trim() !== "") {
        problems.push({ place, thing: `${name} is no setting`, remedy: `did you mean ${meant}?` });
      }
      continue;
    }
    const text = settingRow(name).type === "secret" ? (value ?? "") : (value ?? "").trim();
    if (text === "") {
      continue;
    }
    if (text.length > settingCharsMax) {
      problems.push({ place, thing: `${name} is longer than ${settingCharsMax} characters`, remedy: "" });
      settings.delete(name);
      continue;
    }
    // `docker run --env-file` keeps them: a folder named `"` would be made. A password may have them.
    if (/^(["']).*\1$/s.test(text) && settingRow(name).type !== "secret") {
      // A path that is an address may be a secret one that was put in the wrong place.
      const hides = isSecretType(settingRow(name).type) || text.includes("://");
      const value = hides ? "" : ` ${quoted(text)}`;
      const thing = `${name}${value} has quotes around its value`;
      problems.push({ place, thing, remedy: "take them out: here they are part of it" });
      settings.delete(name);
      continue;
    }
    const items = itemsOf(name, text, place);
    if (items.length > 0) settings.set(name, { spelling: name, place, items });
    else problems.push({ place, thing: `${name} ${emptyList.thing}`, remedy: emptyList.remedy });
  }
}

/**
 * The setting a variable was most likely meant to be. Stricter than for keys of our own file: the environment
 * is full of names that are none of our business, and a false alarm would keep the gateway from starting.
 */
function meantVariable(name: string): SettingName | null {
  if (name.length < 5 || foreignVariables.has(name)) {
    return null;
  }
  const upper = name.toUpperCase();
  for (const known of settingNames) {
    // Two edits in a short name make another word: ODOO_RC and ODOO_URL.
    const near = Math.min(known.length, name.length) < 8 ? 1 : 2;
    if (sameWords(singular(upper), singular(known)) || editDistance(upper, known, near + 1) <= near) {
      return known;
    }
  }
  return null;
}

/** TRUSTED_PROXY, of TRUSTED_PROXIES. */
function singular(name: string): string {
  return name.replace(/IES$/, "Y").replace(/S$/, "");
}

function itemsOf(name: SettingName, text: string, place: string): { text: string; place: string }[] {
  const texts = isListType(settingRow(name).type)
    ? text.split(/[\s,]+/).filter((item) => item !== "")
    : [text];
  return texts.map((item) => ({ text: item, place }));
}

function readYamlFile(named: string, cwd: string, readFile: ReadFile, gathered: Gathered): void {
  const { problems } = gathered;
  const shown = named === "" ? "gateway.yaml" : named;
  const read = readFile(isAbsolute(shown) ? shown : resolve(cwd, shown));
  if (!read.ok) {
    if (named === "" && read.error.missing) {
      return;
    }
    const place = named === "" ? shown : "environment";
    const thing =
      named === ""
        ? `cannot be read: ${read.error.detail}`
        : `GATEWAY_FILE ${JSON.stringify(shown)} cannot be read: ${read.error.detail}`;
    problems.push({ place, thing, remedy: "name a readable YAML file" });
    return;
  }
  const parsed = parseYaml(read.value);
  if (!parsed.ok) {
    for (const mistake of parsed.error) {
      const place = `${shown}:${mistake.line}:${mistake.column}`;
      problems.push(
        insideSecret(read.value, mistake.line)
          ? {
              place,
              thing: "a password, key or secret address is not valid YAML",
              remedy: "put it in single quotes",
            }
          : { place, thing: mistake.message, remedy: mistake.remedy },
      );
    }
    return;
  }
  readDocument(shown, parsed.value, gathered);
}

/** Is this line part of the password's entry: YAML's own messages quote what they stumble over. */
function insideSecret(text: string, line: number): boolean {
  const before = text.split(/\r?\n|\r/).slice(0, line);
  const key = before.findLast((one) => /^["'?]?\s*[A-Za-z]/.test(one)) ?? "";
  const secret = /pass|pw|secret|hmac|alert/i;
  return secret.test(key) || secret.test(before.at(-1) ?? "");
}

function readDocument(
  shown: string,
  document: YamlDocument,
  { settings, sections, problems }: Gathered,
): void {
  const { value } = document;
  if (value === null || value === undefined) {
    return;
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    problems.push({
      place: `${shown}:1:1`,
      thing: "is no map of settings",
      remedy: 'write lines such as "odoo_url: http://odoo:8069"',
    });
    return;
  }
  for (const [key, given] of Object.entries(value)) {
    const at = document.keyPlace([key]);
    const place = `${shown}:${at.line}:${at.column}`;
    const name = key.toUpperCase();
    if (isSectionName(key)) {
      const placed = (found: TextPlace) => `${shown}:${found.line}:${found.column}`;
      sections.set(key, {
        value: given,
        valuePlace: (path) => placed(document.valuePlace([key, ...path])),
        keyPlace: (path) => placed(document.keyPlace([key, ...path])),
      });
    } else if (key !== key.toLowerCase() || !isSettingName(name)) {
      const near = nearestName(key, [...settingNames.map((one) => one.toLowerCase()), ...sectionNames]);
      problems.push({
        place,
        thing: `${shownKey(key)} is no setting`,
        remedy: near === null ? "docs/options.md lists all" : `did you mean ${near}?`,
      });
    } else if (name === "GATEWAY_FILE") {
      problems.push({
        place,
        thing: "gateway_file can stand in the environment only",
        remedy: "take the line out",
      });
    } else {
      const read = yamlItems(name, given, (index) => {
        const item = document.valuePlace(index === null ? [key] : [key, index]);
        return `${shown}:${item.line}:${item.column}`;
      });
      if ("thing" in read) {
        problems.push({ place: read.place, thing: `${key} ${read.thing}`, remedy: read.remedy });
      } else if (read.items.length > 0) {
        settings.set(name, { spelling: key, place, items: read.items });
      }
    }
  }
}

type YamlItems = { readonly items: { text: string; place: string }[] };

/** The texts of one value of the file: a scalar, or a list of them where the setting takes a list. */
function yamlItems(
  name: SettingName,
  given: unknown,
  placeOf: (index: number | null) => string,
): YamlItems | Problem {
  const { type } = settingRow(name);
  if (Array.isArray(given)) {
    const list: readonly unknown[] = given;
    if (!isListType(type)) {
      return { place: placeOf(null), thing: "takes one value, not a list", remedy: "" };
    }
    if (list.length === 0) {
      // An empty list is an answer ("none"), not a setting left out; only some settings can be none.
      return { items: [{ text: "none", place: placeOf(null) }] };
    }
    if (list.length > settingItemsMax) {
      return { place: placeOf(null), thing: `has more than ${settingItemsMax} entries`, remedy: "" };
    }
    const items: { text: string; place: string }[] = [];
    for (const [index, item] of list.entries()) {
      const text = scalarText(name, item);
      if (typeof text !== "string" || text.trim() === "") {
        return { place: placeOf(index), thing: "has an entry that is no text", remedy: "put it in quotes" };
      }
      items.push({ text: text.trim(), place: placeOf(index) });
    }
    return { items };
  }
  const place = placeOf(null);
  if (given === null || given === undefined) {
    return { items: [] };
  }
  const text = scalarText(name, given);
  if (text === null) {
    const port = type === "address" && typeof given === "number";
    const remedy =
      typeof given === "object" ? "" : port ? `write ":${given}", in quotes` : "put it in quotes";
    return { place, thing: typeof given === "object" ? "takes a value, not a map" : "must be text", remedy };
  }
  if (text.length > settingCharsMax) {
    return { place, thing: `is longer than ${settingCharsMax} characters`, remedy: "" };
  }
  const plain = type === "secret" ? text : text.trim();
  const items = plain === "" ? [] : itemsOf(name, plain, place);
  return plain !== "" && items.length === 0 ? { place, ...emptyList } : { items };
}

/**
 * A scalar as text. Numbers and booleans only where a setting is one, or is a word that neither can be, and is told so:
 * elsewhere YAML has already thrown away how they were written (a password `0123456` would arrive as 123456).
 */
function scalarText(name: SettingName, value: unknown): string | null {
  if (typeof value === "string") {
    return value;
  }
  const { type } = settingRow(name);
  if (typeof value === "number" && (Number.isInteger(value) || !Number.isFinite(value))) {
    const numeric = type === "size" || type === "duration" || type === "count";
    return numeric || type === "choice" || type === "yes/no" ? String(value) : null;
  }
  if (typeof value === "boolean") {
    return type === "yes/no" || type === "choice" || type === "address" ? String(value) : null;
  }
  return null;
}

function shownKey(key: string): string {
  const short = key.length > 60 ? `${key.slice(0, 60)}…` : key;
  return /^[A-Za-z0-9_.-]+$/.test(short) ? short : JSON.stringify(short);
}
