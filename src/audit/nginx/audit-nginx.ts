import { type Note, note, orPass, quoted } from "../note.ts";
import { guardedNotes } from "./guarded.ts";
import { type Location, modelOf, type NginxModel, type Server } from "./model.ts";
import type { NginxFile } from "./parse.ts";
import { type Compared, proxyingNotes } from "./proxying.ts";
import { hostOf, siteNotes, wholeNotes } from "./site.ts";
import { walk } from "./walk.ts";

/** Most servers of one configuration that are looked at. */
export const serversMax = 50;

/** What an nginx configuration leaves open, as far as a model of nginx's own choices tells. */
export function auditNginx(nginx: NginxFile, compared: Compared): readonly Note[] {
  const place = { file: nginx.file, line: null };
  const model = modelOf(nginx.directives);
  const proxying = model.servers.slice(0, serversMax).filter((server) => passesOn(model, server));
  const notes = proxying.flatMap((server) => {
    const host = hostOf(server);
    return [
      ...guardedNotes(model, server, host),
      ...siteNotes(model, server, host),
      ...proxyingNotes(model, server, host, compared),
    ];
  });
  const whole = proxying.length === 0 ? [] : wholeNotes(model, nginx.file);
  const words = `${model.servers.length} servers, ${proxying.length} of them in front of Odoo`;
  const trouble = [...syntax(nginx), ...untried(model.servers)];
  if (proxying.length === 0)
    trouble.push(
      note(
        "nginx-syntax",
        "warn",
        "no server in it passes requests on for strangers: nothing to look at",
        place,
      ),
    );
  return [...orPass(trouble, "nginx-syntax", words, place), ...notes, ...whole];
}

function syntax(nginx: NginxFile): readonly Note[] {
  return [
    ...nginx.mistakes.map((one) => note("nginx-syntax", "fail", one.thing, one.place)),
    ...nginx.unread.map((one) =>
      note("nginx-syntax", "skipped", `${one.thing}; what it says is not known here`, one.place),
    ),
  ];
}

/** Locations whose pattern could not be tried, or was given up while it was. */
function untried(servers: readonly Server[]): readonly Note[] {
  const all = (locations: readonly Location[]): readonly Location[] =>
    locations.flatMap((one) => [one, ...all(one.locations)]);
  return servers
    .flatMap(({ locations }) => all(locations))
    .filter(({ matcher }) => matcher !== null && matcher("/") === null)
    .map(({ kind, text, place }) =>
      note(
        "nginx-syntax",
        "warn",
        `location ${kind} ${quoted(text)} cannot be tried here; it is taken as if it matched nothing`,
        place,
      ),
    );
}

function passesOn(model: NginxModel, server: Server): boolean {
  const host = hostOf(server);
  return ["/", "/web/login"].some((target) =>
    [...new Set(server.listens.map((one) => one.isTls))].some(
      (isTls) =>
        walk(model, server, { method: "GET", target, host, isUpgrade: false, isTls }).kind === "proxied",
    ),
  );
}
