import { type Note, note, orPass, quoted } from "../note.ts";
import type { ConfView } from "./view.ts";

/** What `log_level` sets loggers to (odoo/netsvc.py, PSEUDOCONFIG_MAPPER). */
const levelMeans: ReadonlyMap<string, readonly string[]> = new Map([
  ["debug_rpc_answer", ["odoo:DEBUG", "odoo.sql_db:INFO", "odoo.http.rpc:DEBUG"]],
  ["debug_rpc", ["odoo:DEBUG", "odoo.sql_db:INFO", "odoo.http.rpc.request:DEBUG"]],
  ["debug", ["odoo:DEBUG", "odoo.sql_db:INFO"]],
  ["debug_sql", ["odoo.sql_db:DEBUG"]],
  ["info", []],
  ["runbot", ["odoo:RUNBOT", "werkzeug:WARNING"]],
  ["warn", ["odoo:WARNING", "werkzeug:WARNING"]],
  ["error", ["odoo:ERROR", "werkzeug:ERROR"]],
  ["critical", ["odoo:CRITICAL", "werkzeug:CRITICAL"]],
  ["test", ["odoo:INFO", "werkzeug:WARNING"]],
  ["notset", []],
]);
const weights: ReadonlyMap<string, number> = new Map([
  ["NOTSET", 0],
  ["DEBUG", 10],
  ["INFO", 20],
  ["RUNBOT", 25],
  ["WARNING", 30],
  ["WARN", 30],
  ["ERROR", 40],
  ["CRITICAL", 50],
]);
/** Who writes `Login failed for …` (Odoo 12 and later); at INFO. */
const loginLogger = "odoo.addons.base.models.res_users";

/** Does the log show failed log-ins, and does it keep secrets out. */
export function logging(conf: ConfView): readonly Note[] {
  return [...loginLines(conf), ...loud(conf)];
}

function loginLines(conf: ConfView): readonly Note[] {
  const id = "conf-log-level";
  const place = conf.place("log_level");
  // A choice of optparse: capitals are another word.
  const means = levelMeans.get(conf.text("log_level"));
  if (means === undefined)
    return [
      note(id, "fail", `${conf.shown("log_level")}: there is no such level, and Odoo does not start`, place),
    ];
  const handlers = handlerList(conf);
  const effective = levelOf(loginLogger, [":INFO", ...means, ...handlers]);
  if ((weights.get(effective.level) ?? 20) > 20) {
    const cause =
      effective.from === undefined || handlers.includes(effective.from) ? "log_handler" : "log_level";
    return [
      note(
        id,
        "fail",
        `${conf.shown(cause)}: failed log-ins are written at INFO by ${loginLogger}, which is silent below ${effective.level}`,
        conf.place(cause),
      ),
    ];
  }
  return [note(id, "pass", `${conf.shown("log_level")}: failed log-ins are written`, place)];
}

function loud(conf: ConfView): readonly Note[] {
  const id = "conf-log-handler";
  const level = conf.text("log_level").toLowerCase();
  const notes: Note[] = [];
  const all = [...(levelMeans.get(level) ?? []), ...handlerList(conf)];
  for (const logger of ["odoo.http.rpc.request", "odoo.http.rpc.response", "odoo.sql_db", "odoo.http"]) {
    const { level: effective, from } = levelOf(logger, [":INFO", ...all]);
    if ((weights.get(effective) ?? 20) > 10 || from === undefined) continue;
    const cause = handlerList(conf).includes(from) ? "log_handler" : "log_level";
    notes.push(
      note(
        id,
        "fail",
        `${conf.shown(cause)}: ${logger} writes at DEBUG, with passwords and contents of calls in it`,
        conf.place(cause),
      ),
    );
    break;
  }
  for (const one of handlerList(conf))
    if (!/^[A-Za-z0-9_.]*:[A-Z]+$/.test(one) || !weights.has(one.split(":")[1] ?? ""))
      notes.push(
        note(
          id,
          "warn",
          `log_handler: ${quoted(one)} is no LOGGER:LEVEL; Odoo takes INFO for a level it does not know`,
          conf.place("log_handler"),
        ),
      );
  return orPass(notes, id, conf.shown("log_handler"), conf.place("log_handler"));
}

function handlerList(conf: ConfView): readonly string[] {
  return conf
    .text("log_handler")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** Python's logging: the nearest logger above that has a level says it; of two entries for one logger the later holds. */
function levelOf(
  logger: string,
  entries: readonly string[],
): { readonly level: string; readonly from: string | undefined } {
  const parts = logger.split(".");
  for (let length = parts.length; length >= 0; length -= 1) {
    const name = parts.slice(0, length).join(".");
    const entry = entries.findLast((one) => one.split(":")[0] === name);
    if (entry !== undefined) return { level: entry.split(":")[1] ?? "INFO", from: entry };
  }
  return { level: "INFO", from: undefined };
}
