import type { AuditContext } from "../context.ts";
import type { Note } from "../note.ts";
import { database } from "./database.ts";
import { dbfilter, dbfilterHosts } from "./dbfilter.ts";
import { exposure } from "./exposure.ts";
import { logging } from "./logging.ts";
import { masterPassword } from "./master-password.ts";
import { modes } from "./modes.ts";
import { reading } from "./reading.ts";
import { sizes } from "./sizes.ts";
import type { ConfView } from "./view.ts";

/** Everything an odoo.conf tells. `path` is where it was read, for its mode. */
export function auditConf(conf: ConfView, path: string, context: AuditContext): readonly Note[] {
  return [
    ...reading(conf),
    masterPassword(conf),
    ...dbfilter(conf),
    ...dbfilterHosts(conf, context.hosts, context.databases),
    ...exposure(conf, context),
    ...sizes(conf, context),
    ...logging(conf),
    ...database(conf, context),
    ...modes(conf, path, context),
  ];
}
