import {
  type GuardedRequest,
  isManagerPage,
  isServiceAnswer,
  listRequest,
  managerRequests,
  managerSpellings,
  serviceRequests,
} from "../../policy/guarded.ts";
import type { Look } from "../../report/finding.ts";
import type { Answer } from "../answer.ts";
import { checkBounds } from "../bounds.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import type { SiteView } from "../view.ts";

const disabled = /database manager has been disabled/i;

/**
 * Asks each; what got through by `isThrough`, and how the rest was answered. A spelling that is met with a closed connection is
 * closed, when the site answers other requests; one whose answer does not come, or cannot be read, is not known to be.
 */
async function tryAll(
  view: SiteView,
  requests: readonly GuardedRequest[],
  isThrough: (answer: Answer) => boolean,
): Promise<{
  readonly through: GuardedRequest[];
  readonly closed: Map<string, number>;
  readonly last: Look | null;
  disabled: boolean;
}> {
  const through: GuardedRequest[] = [];
  const closed = new Map<string, number>();
  let isDisabled = true;
  let last: Look | null = null;
  const count = (how: string) => closed.set(how, (closed.get(how) ?? 0) + 1);
  for (const request of requests) {
    const asked = await view.askGuarded(request);
    if (!asked.ok) {
      const { kind, detail } = asked.error;
      if (kind === "spent" || kind === "late" || kind === "connect")
        return { through, closed, last: untold(asked.error), disabled: isDisabled };
      if (kind !== "closed") last ??= skipped(`${request.method} ${request.target}: ${detail}.`);
      count(kind);
    } else if (isThrough(asked.value)) {
      through.push(request);
      if (!disabled.test(asked.value.body.toString("latin1"))) isDisabled = false;
    } else {
      if (isTorn(asked.value))
        last ??= skipped(`${request.method} ${request.target}: 200, but the page did not come whole.`);
      count(String(asked.value.status));
    }
  }
  const silence = closed.size === 1 && closed.has("closed") ? await view.silence() : null;
  if (silence !== null) last ??= untold(silence);
  return { through, closed, last, disabled: isDisabled };
}

/** A page of which less came than is looked at. */
function isTorn({ status, whole, body }: Answer): boolean {
  return status === 200 && !whole && body.length < checkBounds.bodyBytesMax;
}

const isManager = ({ status, body }: Answer) => status === 200 && isManagerPage(body.toString("latin1"));
const isService = ({ status, body }: Answer) => status === 200 && isServiceAnswer(body.toString("latin1"));

function judge(tried: Awaited<ReturnType<typeof tryAll>>, what: string): Look {
  const answers = [...tried.closed].map(([how, times]) => `${how} (${times})`).join(", ");
  if (tried.through.length > 0) {
    const list = tried.through
      .map(({ method, target, spelling }) => `${method} ${target} (${spelling})`)
      .join("; ");
    return fail(`${what} reached by ${list}${answers === "" ? "" : `. The others: ${answers}`}.`);
  }
  if (tried.last !== null) return tried.last;
  return pass(`Not reached; answers: ${answers}.`);
}

const manager: Check = {
  id: "database-manager",
  title: "The database manager is closed",
  why: "Whoever reaches it can guess the master password, and with it copy, download, overwrite or drop every database.",
  fix: "Refuse /web/database for everybody but administrators' networks, before Odoo sees it. list_db = False alone leaves change_password open.",
  async look(view) {
    const tried = await tryAll(view, managerRequests, isManager);
    if (tried.through.length > 0 && tried.disabled) {
      const look = judge(tried, "Switched off by list_db = False, but Odoo itself is");
      return { ...look, fix: `${manager.fix} Odoo answers it, so its other actions are reached too.` };
    }
    return judge(tried, "The manager is");
  },
};

/** Where the manager stands open as it is, so many spellings tell what there is to tell; the site's requests are better spent on the rest. */
const spellingsOfOpen = 9;

const spellings: Check = {
  id: "database-manager-spellings",
  title: "The database manager is closed in every spelling",
  why: "Odoo strips a language code, decodes %2f and joins slashes before it routes; rules for /web/database/ do not see those.",
  fix: "Decide on the path as Odoo reads it: a language segment, encoded slashes, doubled slashes, fragments and absolute forms. nginx: a regular expression with an optional language, and refuse the rest; or a gateway that knows Odoo.",
  async look(view) {
    const requests = managerSpellings(view.target.authority, await view.languages());
    // Asked before, by the check above.
    const plain = await tryAll(view, managerRequests, isManager);
    const some = plain.through.length > 0 ? requests.slice(0, spellingsOfOpen) : requests;
    return judge(await tryAll(view, some, isManager), "The manager is");
  },
};

const service: Check = {
  id: "database-service",
  title: "The db service is closed over XML-RPC and JSON-RPC",
  why: "It does everything the manager does, and tells a right master password from a wrong one even with list_db = False. Over JSON-RPC its name stands in the body, where path rules do not look.",
  fix: "Refuse /xmlrpc/db and /xmlrpc/2/db in every spelling, and calls of /jsonrpc whose service is db; or close XML-RPC and JSON-RPC to all but the networks of your programs.",
  async look(view) {
    const tried = await tryAll(view, serviceRequests(await view.languages()), isService);
    return judge(tried, "db.server_version was answered: the service is");
  },
};

/** A list of names out of a JSON or XML answer; null when there is none. At most 50 names are read. */
function namesIn(body: string): readonly string[] | null {
  const open = /"result"\s*:\s*\[/.exec(body);
  const from = open === null ? 0 : open.index + open[0].length;
  const json = open === null ? "" : body.slice(from, body.indexOf("]", from) + 1);
  if (json !== "")
    return [...json.matchAll(/"((?:[^"\\]|\\.){1,80})"/g)].slice(0, 50).map(([, name = ""]) => name);
  if (!body.includes("<methodResponse>") || body.includes("<fault>")) return null;
  return [...body.matchAll(/<string>([^<]{1,80})<\/string>/g)].slice(0, 50).map(([, name = ""]) => name);
}

/** Odoo's log-in page where several databases are visible: the field with its name and the way to the selector, or the older list. */
const choice =
  /class="[^"<>]{0,200}\bfield-db\b|href="\/web\/database\/selector|<select[^<>]{0,200}\sname="db"/;

const list: Check = {
  id: "database-list",
  title: "The names of databases are not told",
  why: "A name is half of what a guess at the database needs, and names of customers and test copies are secrets of their own.",
  fix: "Set list_db = False and a dbfilter in odoo.conf, and refuse /web/database/list and the db service before Odoo sees them.",
  async look(view) {
    const [language = "en"] = await view.languages();
    const services = serviceRequests([language], "list").filter(({ target }) =>
      ["/xmlrpc/2/db", "/jsonrpc", `/${language}/jsonrpc`].includes(target),
    );
    const asks = [listRequest(), listRequest(`/${language}`), ...services.slice(0, 3)];
    const told: string[] = [];
    let trouble: Look | null = null;
    for (const request of asks) {
      const asked = await view.askGuarded(request);
      if (!asked.ok) {
        if (asked.error.kind !== "closed") trouble ??= untold(asked.error);
        continue;
      }
      const names = asked.value.status === 200 ? namesIn(asked.value.body.toString("utf8")) : null;
      // An empty list names nobody: no database is for this host.
      if (names !== null && names.length > 0)
        told.push(
          `${request.target}: ${names.length} (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""})`,
        );
    }
    const login = await view.login();
    if (!login.ok) trouble ??= untold(login.error);
    const selects = login.ok && /\/web\/database\/selector|\?db=/.test(`${login.value.fields.join("\n")}`);
    if (selects) told.push("/web/login leads to the database selector");
    else if (login.ok && choice.test(login.value.body.toString("latin1")))
      told.push("the log-in page offers a choice of databases");
    if (told.length > 0) {
      const isPinned =
        told.every((one) => /: 1 \(/.test(one)) &&
        told.length === 1 &&
        told[0]?.startsWith("/web/database/list");
      return isPinned
        ? warn(`${told.join("; ")}; one name, which the mobile app needs.`)
        : fail(`Told by ${told.join("; ")}.`);
    }
    return trouble ?? pass("Neither the list nor the db service names a database.");
  },
};

export const databaseChecks: readonly Check[] = [manager, spellings, service, list];
