/** The requests that are sent through the model of an nginx site: guarded ones in every spelling, log-in doors, attachments. Pure. */
import {
  commonLanguages,
  listRequest,
  managerPaths,
  managerRequests,
  managerSpellings,
  serviceRequests,
} from "../../policy/guarded.ts";
import type { Location, Server } from "./model.ts";
import { odooPath } from "./target.ts";

export interface NginxProbe {
  readonly method: string;
  readonly target: string;
  /** A few words on the spelling. */
  readonly spelling: string;
  /** What Odoo serves there. */
  readonly meant: string;
}

/** The database manager: every page and action by its name, and the manager in every spelling. */
export function managerProbes(host: string): readonly NginxProbe[] {
  const actions = managerPaths.flatMap((path) => [
    probe("POST", path, "as it is written"),
    probe("POST", `${path}/`, "trailing slash"),
    ...commonLanguages.map((language) =>
      probe("POST", `/${language}${path}`, `behind the language ${language}`),
    ),
  ]);
  const looks = [...managerRequests, listRequest(), ...managerSpellings(host, commonLanguages)].map(
    ({ method, target, spelling }) => probe(method, target, spelling),
  );
  return [...looks, ...actions];
}

/** The db service over XML-RPC. */
export function xmlServiceProbes(): readonly NginxProbe[] {
  const own = serviceRequests(commonLanguages)
    .filter(({ target }) => target.includes("xmlrpc"))
    .map(({ method, target, spelling }) => probe(method, target, spelling));
  return [
    ...own,
    probe("POST", "/xmlrpc/2/db/", "trailing slash"),
    probe("POST", "//xmlrpc/db", "two leading slashes"),
    probe("POST", "/fr/xmlrpc/db", "behind the language fr"),
  ];
}

/** The db service over JSON-RPC: the service's name is in the body, which nginx does not read. */
export function jsonServiceProbes(): readonly NginxProbe[] {
  return serviceRequests(commonLanguages)
    .filter(({ target, spelling }) => target.includes("jsonrpc") && !spelling.includes("escape"))
    .map(({ method, target, spelling }) => probe(method, target, spelling));
}

const formDoors = [
  "/web/login",
  "/web/session/authenticate",
  "/base_import_module/login_upload",
  "/web/reset_password",
];
const rpcDoors = ["/xmlrpc/2/common", "/xmlrpc/2/object", "/jsonrpc"];

/** Where people's passwords are tried. */
export function formDoorProbes(): readonly NginxProbe[] {
  return formDoors.flatMap(doorSpellings);
}

/** Where programs' passwords are tried. */
export function rpcDoorProbes(): readonly NginxProbe[] {
  return rpcDoors.flatMap(doorSpellings);
}

/** Attachments and pictures as a browser asks for them; they belong to whoever is logged in. */
export const attachmentProbes: readonly NginxProbe[] = [
  "contract.jpg",
  "invoice.pdf",
  "notes.css",
  "logo.svg",
  "code.js",
  "photo.png",
].flatMap((name) => [
  probe("GET", `/web/content/123/${name}`, `an attachment named ${name}`),
  probe("GET", `/web/image/123/${name}`, `a picture named ${name}`),
]);

function doorSpellings(path: string): readonly NginxProbe[] {
  return [
    probe("POST", path, "as it is written"),
    probe("POST", `${path}/`, "trailing slash"),
    probe("POST", `//${path.slice(1)}`, "two leading slashes"),
    ...commonLanguages.map((language) =>
      probe("POST", `/${language}${path}`, `behind the language ${language}`),
    ),
  ];
}

/** Further spellings that a location with a path behind proxy_pass makes: `location /erp/ { proxy_pass http://odoo/; }`. */
export function mappedProbes(server: Server, probes: readonly NginxProbe[]): readonly NginxProbe[] {
  const all = (locations: readonly Location[]): readonly Location[] =>
    locations.flatMap((one) => [one, ...all(one.locations)]);
  return all(server.locations).flatMap((location) => {
    if (location.kind !== "" && location.kind !== "^~") return [];
    const pass = location.directives.find(({ name }) => name === "proxy_pass")?.args[0] ?? "";
    const path = /^https?:\/\/[^/]+(\/.*)$/.exec(pass)?.[1];
    if (path === undefined || path === location.text || pass.includes("$")) return [];
    return probes
      .filter(({ spelling, target }) => spelling === "as it is written" && target.startsWith(path))
      .map(({ method, target, meant }) => ({
        method,
        target: location.text + target.slice(path.length),
        spelling: `through location ${location.text}`,
        meant,
      }));
  });
}

/** Does Odoo read what it is sent as what was meant: itself, or behind one language. */
export function reaches({ meant }: NginxProbe, sent: string): boolean {
  const path = odooPath(sent);
  return path === meant || path.replace(/^\/[a-z]{2,3}(?:[_-][A-Za-z0-9]+)?(?=\/)/, "") === meant;
}

function probe(method: string, target: string, spelling: string): NginxProbe {
  const bare = odooPath(target.replace(/^(?:https?:\/\/[^/]+|x:)/, ""));
  const meant = bare.startsWith("/web/static/")
    ? "/web/database/manager"
    : bare.replace(/^\/(?:en|fr)(?=\/)/, "");
  return { method, target, spelling, meant };
}
