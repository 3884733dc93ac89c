import { logging } from "../conf/logging.ts";
import type { ConfView } from "../conf/view.ts";
import { globMatches } from "../glob.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import type { Jail } from "./jails.ts";
import { formOf } from "./tried.ts";

/** Does the line the jail waits for come to the log it reads, with the client's address in it. */
export function logOf(jail: Jail, conf: ConfView | null): readonly Note[] {
  const id = "fail2ban-log";
  const { place } = jail;
  const form = formOf(jail);
  if (form === "other" || form === "gateway") return [];
  if (conf === null)
    return [note(id, "skipped", `[${jail.name}]: --odoo-conf says what Odoo writes, and where`, place)];
  const notes: Note[] = [];
  const hidden = logging(conf).find((one) => one.id === "conf-log-level" && one.outcome === "fail");
  if (hidden !== undefined)
    notes.push(
      note(
        id,
        "fail",
        `[${jail.name}] waits for lines that odoo.conf hides: ${hidden.seen}`,
        hidden.place ?? place,
        {
          fix: "Write log_level = info; to keep the rest quiet add log_handler = :WARNING,odoo.addons.base.models.res_users:INFO.",
        },
      ),
    );
  const proxy = conf.yesNo("proxy_mode");
  if (!proxy.known || !proxy.value)
    notes.push(
      note(
        id,
        "fail",
        `[${jail.name}]: ${conf.shown("proxy_mode")}, so the line names the proxy, and fail2ban bans it`,
        conf.place("proxy_mode"),
        {
          why: "With the proxy banned nobody reaches Odoo, whoever guessed.",
          fix: "Write proxy_mode = True, and let the proxy set X-Forwarded-Host and X-Forwarded-For.",
        },
      ),
    );
  const logfile = conf.text("logfile");
  if (form === "plain" && logfile === "")
    notes.push(
      note(id, "warn", `[${jail.name}] reads ${shown(jail)}, and odoo.conf sets no logfile`, place, {
        fix: "Write logfile in odoo.conf, or backend = systemd and journalmatch = _SYSTEMD_UNIT=odoo.service in the jail.",
      }),
    );
  else if (form === "plain" && jail.logpath.length > 0 && !jail.logpath.some((path) => fits(path, logfile)))
    notes.push(
      note(id, "warn", `[${jail.name}] reads ${shown(jail)}, and Odoo writes to ${quoted(logfile)}`, place, {
        fix: `Write logpath = ${/\s/.test(logfile) ? "the path of logfile" : logfile}, unless the file is the same through a mount.`,
      }),
    );
  else if (form === "plain" && jail.logpath.length === 0)
    notes.push(
      note(id, "fail", `[${jail.name}] has no logpath`, place, { fix: `Write logpath = ${logfile}.` }),
    );
  return orPass(notes, id, `[${jail.name}] reads ${form === "journal" ? "the journal" : shown(jail)}`, place);
}

function shown({ logpath }: Jail): string {
  return logpath.slice(0, 3).map(quoted).join(", ");
}

/** Patterns as in a shell; `path tail` reads from the end. */
function fits(path: string, file: string): boolean {
  return globMatches(path.replace(/\s+(?:head|tail)$/, ""), file);
}
