import { isLoopback, parseIp } from "../../base/ip.ts";
import type { Place } from "../../report/finding.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { unknownPart } from "./mounts.ts";
import { type ComposeFile, isRecord, type Service } from "./read.ts";

/** One published port, or range of them. */
interface Published {
  /** Empty: every address of the machine. */
  readonly hostAddress: string;
  /** Container's side, first and last. */
  readonly first: number;
  readonly last: number;
  /** A variable that is not known here says which port it is. */
  readonly isUnknown: boolean;
  readonly shown: string;
  readonly place: Place;
}

const guarded: readonly (readonly [port: number, what: string])[] = [
  [8069, "Odoo"],
  [8072, "Odoo's websocket port, which serves all of Odoo"],
  [5432, "PostgreSQL"],
];

/** Ports of Odoo and PostgreSQL that are published; Docker opens them past the host's firewall. */
export function publishedPorts(compose: ComposeFile): readonly Note[] {
  const id = "compose-ports";
  const notes: Note[] = [];
  for (const service of compose.services) {
    if (service.text("network_mode") === "host" && (service.kind === "odoo" || service.kind === "postgres"))
      notes.push(
        note(
          id,
          "fail",
          `${service.name} has network_mode: host, so all its ports are the machine's`,
          service.placeOf("network_mode"),
        ),
      );
    for (const published of portsOf(service)) {
      if (published.isUnknown && (service.kind === "odoo" || service.kind === "postgres")) {
        notes.push(
          note(
            id,
            "warn",
            `${service.name} publishes ${published.shown}, and no variable given here says which port that is`,
            published.place,
            {
              why: "If it is a port of Odoo or PostgreSQL, whoever reaches it passes by the gateway.",
              fix: "Give the file that sets the variable with --env, or take the line out; containers reach each other without it.",
            },
          ),
        );
        continue;
      }
      const hit = guarded.find(([port]) => port >= published.first && port <= published.last);
      if (hit === undefined) continue;
      const [port, what] = hit;
      const address = parseIp(published.hostAddress);
      const isEverywhere =
        published.hostAddress === "" || /^(?:0\.0\.0\.0|::|\*)$/.test(published.hostAddress);
      if (address !== null && isLoopback(address)) continue;
      const words = `${service.name} publishes ${published.shown}: ${what} (${port})`;
      notes.push(
        isEverywhere
          ? note(id, "fail", `${words} answers on every address of the machine`, published.place)
          : note(id, "warn", `${words} answers on ${quoted(published.hostAddress)}`, published.place),
      );
    }
  }
  return orPass(notes, id, "8069, 8072 and 5432 are published nowhere but on loopback", {
    file: compose.file,
    line: null,
  });
}

/** Does a service publish any port. */
export function publishes(service: Service): boolean {
  return portsOf(service).length > 0 || service.text("network_mode") === "host";
}

function portsOf(service: Service): readonly Published[] {
  const value = service.at("ports");
  if (!Array.isArray(value)) return [];
  const short = service.list("ports").flatMap(({ value: text, place }) => shortPort(text, place));
  const long = value.flatMap((item: unknown, index) => {
    if (!isRecord(item)) return [];
    const target = service.filled(item["target"], unknownPart);
    const published = service.filled(item["published"], unknownPart);
    const shown = `${published === "" ? "a free port" : published} → ${target}`;
    const hostAddress = service.filled(item["host_ip"], unknownPart);
    return publishedAs(target, hostAddress, shown, service.placeOf("ports", index));
  });
  return [...short, ...long];
}

/** `8069`, `80:8069`, `127.0.0.1:80:8069`, `[::1]:80:8069`, ranges, `/tcp`. */
function shortPort(text: string, place: Place): readonly Published[] {
  const [, front = "", target = ""] =
    /^(?:(.*):)?([0-9]+(?:-[0-9]+)?)(?:\/[a-z]+)?$/i.exec(text.trim()) ?? [];
  const address = /^(.*):[0-9-]*$/.exec(front)?.[1] ?? "";
  if (target === "" && text.includes("$")) return publishedAs(unknownPart, "", text, place);
  return publishedAs(target, address.replace(/^\[(.*)\]$/, "$1"), text, place);
}

function publishedAs(target: string, hostAddress: string, shown: string, place: Place): readonly Published[] {
  if (target.includes(unknownPart))
    return [{ first: 0, last: 0, isUnknown: true, hostAddress, shown, place }];
  const [, first = "", last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(target) ?? [];
  if (first === "") return [];
  return [{ first: Number(first), last: Number(last), isUnknown: false, hostAddress, shown, place }];
}
