import { isLoopback, parseIp } from "../../base/ip.ts";
import type { AuditContext } from "../context.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import type { ConfView } from "./view.ts";

/** What Odoo shows, and to whom. */
export function exposure(conf: ConfView, context: AuditContext): readonly Note[] {
  return [
    listDb(conf),
    databaseName(conf),
    proxyMode(conf),
    listenAddress(conf, context),
    ...ports(conf, context),
    devMode(conf),
    testing(conf),
    demoData(conf),
    ...serverWide(conf),
    sendfile(conf, context),
    mail(conf),
  ];
}

function listDb(conf: ConfView): Note {
  const id = "conf-list-db";
  const place = conf.place("list_db");
  const list = conf.yesNo("list_db");
  if (list.known && !list.value) return note(id, "pass", conf.shown("list_db"), place);
  return note(
    id,
    "fail",
    list.known ? conf.shown("list_db") : `${conf.shown("list_db")}: that is no False`,
    place,
  );
}

function databaseName(conf: ConfView): Note {
  const id = "conf-db-name";
  const place = conf.place("db_name");
  const list = conf.yesNo("list_db");
  if (conf.text("db_name") !== "" || conf.text("dbfilter") !== "")
    return note(id, "pass", conf.text("db_name") === "" ? "dbfilter chooses" : conf.shown("db_name"), place);
  const isListed = !list.known || list.value;
  return isListed
    ? note(id, "warn", "neither db_name nor dbfilter is set", place)
    : note(
        id,
        "fail",
        "list_db is off and neither db_name nor dbfilter says which database is served: users cannot choose one",
        place,
      );
}

function proxyMode(conf: ConfView): Note {
  const mode = conf.yesNo("proxy_mode");
  const isOn = mode.known && mode.value;
  return note("conf-proxy-mode", isOn ? "pass" : "fail", conf.shown("proxy_mode"), conf.place("proxy_mode"));
}

function listenAddress(conf: ConfView, { isContainer }: AuditContext): Note {
  const id = "conf-interface";
  const place = conf.place("http_interface");
  const text = conf.text("http_interface");
  const address = parseIp(text);
  const http = conf.yesNo("http_enable");
  if (http.known && !http.value)
    return note(
      id,
      "pass",
      `${conf.shown("http_enable")}: this Odoo listens on no port`,
      conf.place("http_enable"),
    );
  if (text === "localhost" || (address !== null && isLoopback(address)))
    return isContainer
      ? note(
          id,
          "fail",
          `${conf.shown("http_interface")}: in a container nobody but Odoo itself reaches its loopback`,
          place,
          {
            why: "The gateway, a container of its own, cannot connect to the loopback of Odoo's container.",
            fix: "Leave http_interface out in a container, and publish no port of it.",
          },
        )
      : conf.isOldName("http_interface")
        ? note(
            id,
            "warn",
            `${conf.shown("http_interface")}: Odoo 19 does not know the name, and its ports answer on every address of the machine`,
            place,
          )
        : note(id, "pass", conf.shown("http_interface"), place);
  if (text === "" || text === "0.0.0.0" || text === "::")
    return isContainer
      ? note(id, "pass", "every address of the container; what is published says the compose file", place)
      : note(
          id,
          "fail",
          `${conf.shown("http_interface")}: Odoo's ports answer on every address of the machine`,
          place,
        );
  return note(
    id,
    isContainer ? "pass" : "warn",
    `${conf.shown("http_interface")}: whoever reaches that address reaches Odoo without the gateway`,
    place,
  );
}

function ports(conf: ConfView, { gateway }: AuditContext): readonly Note[] {
  const id = "conf-ports";
  const web = conf.whole("http_port");
  const bus = conf.whole("gevent_port");
  const notes: Note[] = [];
  for (const [name, port, usual] of [
    ["http_port", web, 8069],
    ["gevent_port", bus, 8072],
  ] as const)
    if (port === null || port < 1 || port > 65_535)
      notes.push(note(id, "fail", `${conf.shown(name)} is no port`, conf.place(name)));
    else if (conf.isOldName(name) && port !== usual && web !== bus)
      notes.push(
        note(
          id,
          "warn",
          `${conf.shown(name)}: Odoo 19 does not know the name and listens on ${usual}`,
          conf.place(name),
          { fix: `Write ${name} = ${port}.` },
        ),
      );
  if (web !== null && web === bus)
    notes.push(note(id, "fail", `http_port and gevent_port are both ${web}`, conf.place("gevent_port")));
  if (gateway?.webPort !== null && gateway?.webPort !== undefined && gateway.webPort !== web)
    notes.push(
      note(
        id,
        "warn",
        `the gateway asks port ${gateway.webPort} (ODOO_URL), Odoo listens on ${web}`,
        conf.place("http_port"),
      ),
    );
  if (gateway?.busPort !== null && gateway?.busPort !== undefined && gateway.busPort !== bus)
    notes.push(
      note(
        id,
        "warn",
        `the gateway asks port ${gateway.busPort} for websockets (ODOO_BUS_URL), Odoo listens on ${bus}`,
        conf.place("gevent_port"),
      ),
    );
  return orPass(notes, id, `${web} for pages, ${bus} for websockets`, conf.place("http_port"));
}

function devMode(conf: ConfView): Note {
  const text = conf.text("dev_mode");
  return note(
    "conf-dev-mode",
    text === "" ? "pass" : "fail",
    text === "" ? "off" : conf.shown("dev_mode"),
    conf.place("dev_mode"),
  );
}

function testing(conf: ConfView): Note {
  const id = "conf-test-enable";
  const on = ["test_enable", "test_commit", "test_file", "test_tags"].find((name) => {
    const text = conf.text(name);
    return text !== "" && text !== "0";
  });
  if (on !== undefined) return note(id, "fail", conf.shown(on), conf.place(on));
  if (conf.yesNo("stop_after_init").known && conf.text("stop_after_init") !== "")
    return note(id, "fail", conf.shown("stop_after_init"), conf.place("stop_after_init"), {
      why: "Odoo ends as soon as it has started.",
      fix: "Take the line out.",
    });
  return note(id, "pass", "no tests run", conf.place("test_enable"));
}

function demoData(conf: ConfView): Note {
  const id = "conf-demo-data";
  // Only Odoo 19 knows it, and reads all these words.
  if (conf.has("with_demo") && !/^(?:false|no|off|0|None|)$/i.test(conf.raw("with_demo") ?? ""))
    return note(id, "fail", conf.shown("with_demo"), conf.place("with_demo"));
  const without = conf.text("without_demo");
  if (/^(?:all|True|true|1)$/.test(without) || /\ball\b/.test(without))
    return note(id, "pass", conf.shown("without_demo"), conf.place("without_demo"));
  return note(
    id,
    "warn",
    `${conf.shown("without_demo")}: up to Odoo 18 a new database then gets demo data`,
    conf.place("without_demo"),
  );
}

function serverWide(conf: ConfView): readonly Note[] {
  const id = "conf-server-wide-modules";
  const place = conf.place("server_wide_modules");
  const modules = conf
    .text("server_wide_modules")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  const notes: Note[] = [];
  if (modules.length > 0 && !modules.includes("web"))
    notes.push(
      note(
        id,
        "fail",
        `${conf.shown("server_wide_modules")} leaves out web: without a database no page answers`,
        place,
      ),
    );
  if (modules.includes("dbfilter_from_header"))
    notes.push(
      note(id, "warn", "dbfilter_from_header lets the header X-Odoo-dbfilter choose the database", place, {
        why: "Any client that reaches Odoo past the gateway chooses its database by a header (CVE-2018-14733). The gateway takes the header out of every request.",
        fix: "Use dbfilter with %h or %d instead, or make sure that no client reaches Odoo's ports directly.",
      }),
    );
  const risky = modules.filter((one) => /^(?:web_debug|test_|base_import_module$|profiler$)/.test(one));
  for (const one of risky) notes.push(note(id, "warn", `${quoted(one)} is loaded for every database`, place));
  return orPass(notes, id, modules.length === 0 ? "Odoo's own" : modules.join(", "), place);
}

/** Two halves that belong together: Odoo names its files, and the gateway has them. */
function sendfile(conf: ConfView, { gateway }: AuditContext): Note {
  const id = "conf-x-sendfile";
  const place = conf.place("x_sendfile");
  const filestore = gateway?.filestore ?? null;
  const on = conf.yesNo("x_sendfile");
  const shown = conf.shown("x_sendfile");
  if (!on.known) return note(id, "warn", `${shown}: that is no False`, place);
  if (!on.value)
    return note(
      id,
      "pass",
      filestore === null ? shown : `${shown}: ODOO_FILESTORE of the gateway waits for it`,
      place,
    );
  return filestore === null
    ? note(id, "warn", shown, place)
    : note(
        id,
        "pass",
        `${shown}, and the gateway sends the files from ${quoted(filestore)} (ODOO_FILESTORE)`,
        place,
      );
}

function mail(conf: ConfView): Note {
  const id = "conf-smtp-tls";
  const server = conf.text("smtp_server");
  const isLocal = server === "" || server === "localhost" || server.startsWith("127.");
  const tls = conf.yesNo("smtp_ssl");
  if (isLocal || (tls.known && tls.value))
    return note(
      id,
      "pass",
      isLocal ? "mail goes to this machine" : conf.shown("smtp_ssl"),
      conf.place("smtp_server"),
    );
  const hasPassword = conf.text("smtp_password") !== "";
  return note(
    id,
    hasPassword ? "fail" : "warn",
    `mail${hasPassword ? " and the password of its account" : ""} goes to ${quoted(server)} without TLS`,
    conf.place("smtp_ssl"),
  );
}
