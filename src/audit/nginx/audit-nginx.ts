import { type Note, note, orPass } from "../note.ts";
import { guardedNotes } from "./guarded.ts";
import { modelOf } from "./model.ts";
import type { NginxFile } from "./parse.ts";
import { type Compared, proxyingNotes } from "./proxying.ts";
import { hostOf, siteNotes, wholeNotes } from "./site.ts";
import { walk } from "./walk.ts";

/** Most servers of one configuration that are looked at. */
export const serversMax = 50;

/** What an nginx configuration leaves open, as far as a model of nginx's own choices tells. */
export function auditNginx(nginx: NginxFile, compared: Compared): readonly Note[] {
  const place = { file: nginx.file, line: null };
  const trouble = [
    ...nginx.mistakes.map((one) => note("nginx-syntax", "fail", one.thing, one.place)),
    ...nginx.unread.map((one) =>
      note("nginx-syntax", "skipped", `${one.thing}; what it says is not known here`, one.place),
    ),
  ];
  const model = modelOf(nginx.directives);
  const untold = model.servers.flatMap((server) =>
    server.locations.filter(({ matcher }) => matcher !== null && matcher("/") === null).map((one) => one),
  );
  for (const one of untold)
    trouble.push(
      note(
        "nginx-syntax",
        "warn",
        `location ${one.kind} ${one.text} cannot be tried here; it is taken as if it matched nothing`,
        one.place,
      ),
    );
  const proxying = model.servers
    .slice(0, serversMax)
    .filter((server) =>
      ["/", "/web/login"].some(
        (target) =>
          walk(model, server, { method: "GET", target, host: hostOf(server), isUpgrade: false }).kind ===
          "proxied",
      ),
    );
  if (proxying.length === 0)
    trouble.push(
      note(
        "nginx-syntax",
        "warn",
        "no server in it passes requests on, so there was nothing to look at",
        place,
      ),
    );
  return [
    ...orPass(
      trouble,
      "nginx-syntax",
      `${model.servers.length} servers, ${proxying.length} of them in front of Odoo`,
      place,
    ),
    ...proxying.flatMap((server) => {
      const host = hostOf(server);
      return [
        ...guardedNotes(model, server, host),
        ...siteNotes(model, server, host),
        ...proxyingNotes(model, server, host, compared),
      ];
    }),
    ...(proxying.length === 0 ? [] : wholeNotes(model, nginx.file)),
  ];
}
