import { type IpSet, ipSetUnion, parseIpSet } from "../base/ip-set.ts";
import { nearestName } from "../base/nearest.ts";
import { parseRatePerSecond } from "../base/units.ts";
import { shown } from "./complaint.ts";
import { complainAboutHost } from "./host-section.ts";
import { checkKeys, mapOf, type Section, type SectionComplaint, textsOf } from "./sections.ts";
import { type ApiEntry, type ApiService, apiServices } from "./settings.ts";

/** Entries of the section: each RPC call walks them until one names its network. */
export const apiEntriesMax = 256;
const keys = ["networks", "hosts", "services", "models", "methods", "rate", "burst"];
const burstMax = 1_000_000;

/**
 * Reads the section `api:` of gateway.yaml: who may call what over XML-RPC, JSON-RPC and JSON-2. Null: there is none. `served`: names
 * of this site, for `hosts`.
 */
export function readApi(
  section: Section | undefined,
  served: readonly string[],
  complain: SectionComplaint,
): readonly ApiEntry[] | null {
  if (section === undefined) return null;
  const list: unknown = section.value;
  if (!Array.isArray(list) || list.length === 0 || list.length > apiEntriesMax) {
    complain(
      section.valuePlace([]),
      `api must be a list of 1 to ${apiEntriesMax} entries`,
      "leave it out to allow what API_NETWORKS allows",
    );
    return null;
  }
  const entries: ApiEntry[] = [];
  for (const [index, value] of (list as readonly unknown[]).entries()) {
    const entry = readEntry(section, index, value, served, complain);
    if (entry !== null) entries.push(entry);
  }
  return entries;
}

/** Everybody any entry names; null when one of them names everybody. */
export function apiNetworksOf(entries: readonly ApiEntry[]): IpSet | null {
  const union = ipSetUnion(entries.map(({ networks }) => networks));
  return union.texts.includes("0.0.0.0/0") && union.texts.includes("::/0") ? null : union;
}

function readEntry(
  section: Section,
  index: number,
  value: unknown,
  served: readonly string[],
  complain: SectionComplaint,
): ApiEntry | null {
  const map = mapOf(section, [index], value, "an entry of api", complain);
  if (map === null) return null;
  checkKeys(section, [index], map, keys, complain);
  const texts = (key: string) => textsOf(section, [index, key], map.get(key), complain);
  const place = section.valuePlace([index]);
  const networks = readNetworks(texts("networks"), place, map.has("networks"), complain);
  return {
    place,
    networks,
    hosts: readHosts(texts("hosts"), served, complain),
    services: readServices(texts("services"), complain),
    models: readPatterns("models", /^[a-z0-9_][a-z0-9_.]*\*?$|^\*$/i, texts("models"), complain),
    methods: readPatterns("methods", /^[a-z0-9_]+\*?$|^\*$/i, texts("methods"), complain),
    rate: readRate(section, index, map, complain),
  };
}

type Texts = ReturnType<typeof textsOf>;

function readNetworks(texts: Texts, place: string, given: boolean, complain: SectionComplaint): IpSet {
  if (texts === null) {
    if (!given)
      complain(place, "an entry of api names no networks", "add networks: [192.0.2.0/24], or [any]");
    return ipSetUnion([]);
  }
  const sets: IpSet[] = [];
  for (const { text, place: at } of texts) {
    const set = parseIpSet(text.toLowerCase() === "any" ? ["0.0.0.0/0", "::/0"] : [text]);
    if (set.ok) sets.push(set.value);
    else complain(at, `networks ${set.error.join("; ")}`, "write an address, CIDR, or any");
  }
  return ipSetUnion(sets);
}

function readHosts(
  texts: Texts,
  served: readonly string[],
  complain: SectionComplaint,
): ReadonlySet<string> | null {
  if (texts === null) return null;
  for (const { text, place } of texts)
    complainAboutHost(text, served, "name a served host", (thing, remedy) =>
      complain(place, `hosts ${thing}`, remedy),
    );
  return new Set(texts.map(({ text }) => text.toLowerCase()));
}

function readServices(texts: Texts, complain: SectionComplaint): ReadonlySet<ApiService> | null {
  if (texts === null) return null;
  const services = new Set<ApiService>();
  for (const { text, place } of texts) {
    const service = apiServices.find((name) => name === text);
    if (service !== undefined) services.add(service);
    else if (text === "db") complain(place, `services "db" is for ADMIN_NETWORKS alone`, "take it out");
    else {
      const near = nearestName(text, apiServices);
      complain(
        place,
        `services ${shown(text)} is no service`,
        near === null ? `known are ${apiServices.join(", ")}` : `did you mean ${near}?`,
      );
    }
  }
  return services;
}

/** Names, each with at most one `*`, at its end. */
function readPatterns(
  key: string,
  form: RegExp,
  texts: Texts,
  complain: SectionComplaint,
): readonly string[] | null {
  if (texts === null) return null;
  for (const { text, place } of texts)
    if (!form.test(text))
      complain(
        place,
        `${key} ${shown(text)} is no name`,
        "write a name; * stands for the rest of it, at its end only",
      );
  return texts.map(({ text }) => text);
}

function readRate(
  section: Section,
  index: number,
  map: ReadonlyMap<string, unknown>,
  complain: SectionComplaint,
): ApiEntry["rate"] {
  const rate = map.get("rate") ?? null;
  const burst = map.get("burst") ?? null;
  const perSecond = typeof rate === "string" ? parseRatePerSecond(rate.trim()) : null;
  if (rate === null) {
    if (burst !== null)
      complain(section.keyPlace([index, "burst"]), "burst needs a rate", "add rate: 60/min");
    return null;
  }
  if (perSecond === null) {
    complain(
      section.valuePlace([index, "rate"]),
      `rate ${shown(String(rate))} is no rate`,
      "write 60/min, 30/s or 1000/h",
    );
    return null;
  }
  if (
    burst !== null &&
    !(typeof burst === "number" && Number.isInteger(burst) && burst >= 0 && burst <= burstMax)
  ) {
    complain(section.valuePlace([index, "burst"]), `burst must be a whole number up to ${burstMax}`, "");
    return null;
  }
  // Who writes 60/min may call sixty times at once, and then once a second.
  const count = Math.max(1, Math.floor(Number.parseFloat(String(rate))));
  return { perSecond, burst: typeof burst === "number" ? burst : Math.min(count - 1, burstMax) };
}
