import { formatBytes } from "../../base/units.ts";
import type { AuditContext } from "../context.ts";
import { type Note, note, orPass } from "../note.ts";
import { odooProcesses } from "./processes.ts";
import type { ConfView } from "./view.ts";

const mebibyte = 1024 * 1024;
/** Odoo's documentation: 80 % of the requests are light (150 MB), 20 % heavy (1 GB). */
const usualWorkerBytes = Math.round((0.8 * 150 + 0.2 * 1024) * mebibyte);
/** An Odoo that has loaded its modules and does nothing. */
const idleWorkerBytes = 256 * mebibyte;

/** Workers and their limits against the machine and the gateway. */
export function sizes(conf: ConfView, context: AuditContext): readonly Note[] {
  return [
    ...workers(conf, context),
    cron(conf),
    ...limits(conf),
    ...memory(conf, context),
    timeouts(conf, context),
    upload(conf, context),
    ...connections(conf, context),
  ];
}

function workers(conf: ConfView, { machine }: AuditContext): readonly Note[] {
  const id = "conf-workers";
  const place = conf.place("workers");
  const count = conf.whole("workers");
  const most = machine.cores * 2 + 1;
  const fix = { fix: workersFor(machine, conf) };
  if (count === null || count < 0)
    return [note(id, "fail", `${conf.shown("workers")} is no number of processes`, place, fix)];
  if (count === 0)
    return [
      note(
        id,
        "fail",
        `${conf.shown("workers")}: one process serves everybody, no limit of time or memory holds, and nothing listens on the websocket port`,
        place,
        fix,
      ),
    ];
  if (count === 1)
    return [
      note(
        id,
        "warn",
        "one worker: a PDF waits for style sheets that only a second worker could answer",
        place,
        fix,
      ),
    ];
  if (count > most)
    return [
      note(
        id,
        "warn",
        `${count} workers on ${machine.cores} cores (${machine.from}); (2 × cores) + 1 is ${most}`,
        place,
        fix,
      ),
    ];
  return [
    note(
      id,
      "pass",
      `${count} workers on ${machine.cores} cores (${machine.from}), about ${count * 6} users at once`,
      place,
    ),
  ];
}

/** The line to write: as many as the cores bear (guide 4: twice their number and one), fewer where the memory is less. */
function workersFor({ cores, memoryBytes }: AuditContext["machine"], conf: ConfView): string {
  const most = cores * 2 + 1;
  const beside = Math.max(conf.whole("max_cron_threads") ?? 2, 0) + 1;
  const borne = Math.floor(memoryBytes / usualWorkerBytes) - beside;
  const count = Math.max(2, Math.min(most, borne));
  const why =
    borne < most
      ? `as many as ${formatBytes(memoryBytes)} of memory bear beside ${beside} other processes`
      : `(2 × ${cores} cores) + 1`;
  return `Write workers = ${count}: ${why}; for about ${count * 6} people at once.`;
}

function cron(conf: ConfView): Note {
  const id = "conf-cron";
  const place = conf.place("max_cron_threads");
  const count = conf.whole("max_cron_threads");
  if (count === null || count < 0)
    return note(id, "fail", `${conf.shown("max_cron_threads")} is no number`, place);
  if (count === 0)
    return note(id, "warn", "no scheduled job runs here: fine only if another Odoo runs them", place);
  const workers = conf.whole("workers") ?? 0;
  return count > Math.max(2, workers)
    ? note(id, "warn", `${count} for scheduled jobs, more than the ${workers} workers for people`, place)
    : note(id, "pass", conf.shown("max_cron_threads"), place);
}

function limits(conf: ConfView): readonly Note[] {
  const id = "conf-limits";
  const notes: Note[] = [];
  const given = (name: string): number => conf.whole(name) ?? 0;
  for (const name of [
    "limit_memory_soft",
    "limit_memory_hard",
    "limit_time_cpu",
    "limit_time_real",
    "limit_request",
  ])
    if (conf.whole(name) === null)
      notes.push(
        note(id, "fail", `${conf.shown(name)}: that is no number, and Odoo does not start`, conf.place(name)),
      );
    else if (given(name) <= 0)
      notes.push(
        note(
          id,
          "fail",
          `${conf.shown(name)}: without this limit one request can take a worker, or the machine, for ever`,
          conf.place(name),
        ),
      );
  if (given("limit_memory_soft") > given("limit_memory_hard") && given("limit_memory_hard") > 0)
    notes.push(
      note(
        id,
        "fail",
        "limit_memory_soft is above limit_memory_hard: a worker is cut down in the middle of a request instead of being renewed after it",
        conf.place("limit_memory_soft"),
      ),
    );
  if (given("limit_time_cpu") > given("limit_time_real") && given("limit_time_real") > 0)
    notes.push(
      note(
        id,
        "warn",
        "limit_time_cpu is above limit_time_real and never takes effect",
        conf.place("limit_time_cpu"),
      ),
    );
  if (conf.has("limit_time_real_cron") && given("limit_time_real_cron") === 0)
    notes.push(
      note(
        id,
        "warn",
        "limit_time_real_cron = 0: a scheduled job that hangs is never ended",
        conf.place("limit_time_real_cron"),
      ),
    );
  const usedWords = `${formatBytes(given("limit_memory_soft"))} soft, ${formatBytes(given("limit_memory_hard"))} hard, ${given("limit_time_cpu")} s of CPU, ${given("limit_time_real")} s in all, ${given("limit_request")} requests`;
  return orPass(notes, id, usedWords, conf.place("limit_memory_soft"));
}

function memory(conf: ConfView, { machine }: AuditContext): readonly Note[] {
  const id = "conf-memory";
  const { workers, cron, gevent, count, words } = odooProcesses(conf);
  const hard = conf.whole("limit_memory_hard");
  const usual = count * usualWorkerBytes;
  const take = count === 1 ? "takes" : "take";
  const place = conf.place("limit_memory_hard");
  const room = `${formatBytes(machine.memoryBytes)} (${machine.from})`;
  if (usual > machine.memoryBytes)
    return [
      note(
        id,
        "fail",
        `${words} usually ${take} ${formatBytes(usual)}, and there are ${room}`,
        conf.place("workers"),
      ),
    ];
  if (hard === null || hard <= 0)
    return [
      note(
        id,
        "skipped",
        `${words} usually ${take} ${formatBytes(usual)} of ${room}; limit_memory_hard says no amount`,
        place,
      ),
    ];
  // Odoo: limit_memory_hard_gevent, where it is set, stands for limit_memory_hard in the process of the websocket port.
  const hardGevent = conf.whole("limit_memory_hard_gevent") || hard;
  const worst = count === 1 ? hard : (workers + cron) * hard + gevent * hardGevent;
  if (worst > machine.memoryBytes)
    return [
      note(
        id,
        "warn",
        `${words} may take up to ${formatBytes(worst)} (limit_memory_hard), and there are ${room}`,
        place,
      ),
    ];
  return [
    note(
      id,
      "pass",
      `${words} usually ${take} ${formatBytes(usual)}, at most ${formatBytes(worst)}, of ${room}`,
      place,
    ),
  ];
}

const noGateway = "the gateway's settings are not here (environment, .env, gateway.yaml)";

function timeouts(conf: ConfView, { gateway }: AuditContext): Note {
  const id = "conf-timeouts";
  const place = conf.place("limit_time_real");
  const realMs = (conf.whole("limit_time_real") ?? 0) * 1_000;
  if (gateway === null) return note(id, "skipped", noGateway, place);
  const seconds = (ms: number) => `${ms / 1_000} s`;
  if (realMs > gateway.answerTimeoutMsMax)
    return note(
      id,
      "warn",
      `Odoo may work ${seconds(realMs)} on a request, the gateway waits at most ${seconds(gateway.answerTimeoutMsMax)}`,
      place,
      {
        fix: `Write limit_time_real = ${Math.floor(gateway.answerTimeoutMsMax / 1_000)} or less, or give the rule of that route a timeout of ${seconds(realMs)} in the policies.`,
      },
    );
  if (realMs === 0) return note(id, "warn", "Odoo has no limit, the gateway gives up first", place);
  const words = `${seconds(realMs)} in Odoo; the gateway waits ${seconds(gateway.answerTimeoutMsUsual)}, and ${seconds(gateway.answerTimeoutMsMax)} for reports and calls`;
  return note(id, "pass", words, place);
}

function upload(conf: ConfView, { gateway }: AuditContext): Note {
  const id = "conf-upload-memory";
  const place = conf.place("limit_memory_hard");
  if (gateway === null) return note(id, "skipped", noGateway, place);
  const hard = conf.whole("limit_memory_hard") ?? 0;
  const need = idleWorkerBytes + 3 * gateway.bodyBytesMax;
  const words = `the gateway lets bodies of ${formatBytes(gateway.bodyBytesMax)} through (BODY_MAX), and a worker may take ${formatBytes(Math.max(hard, 0))}`;
  return hard > 0 && hard < need
    ? note(
        id,
        "warn",
        `${words}: a form of that size, decoded and written, takes about ${formatBytes(need)}`,
        place,
        { fix: `Write limit_memory_hard = ${need} or more, or lower BODY_MAX.` },
      )
    : note(id, "pass", words, place);
}

function connections(conf: ConfView, { connectionRoom }: AuditContext): readonly Note[] {
  const id = "conf-db-connections";
  const place = conf.place("db_maxconn");
  const each = conf.whole("db_maxconn");
  if (each === null || each < 1)
    return [note(id, "fail", `${conf.shown("db_maxconn")} is no number of connections`, place)];
  const { workers, cron, gevent, count, words } = odooProcesses(conf);
  // Each process has a pool of its own; 0 or nothing for the websockets' process means db_maxconn there too.
  const geventEach = conf.whole("db_maxconn_gevent") || each;
  const total = count === 1 ? each : (workers + cron) * each + gevent * geventEach;
  const other = count > 1 && geventEach !== each ? ` (db_maxconn_gevent ${geventEach})` : "";
  const sum = `${words} × db_maxconn ${each}${other} is up to ${total} connections`;
  if (connectionRoom === null)
    return [
      note(
        id,
        "skipped",
        `${sum}; give --postgresql-conf or --pg-dsn to compare them with max_connections`,
        place,
      ),
    ];
  const { connections: room, from } = connectionRoom;
  if (total <= room) return [note(id, "pass", `${sum}; PostgreSQL takes ${room} (${from})`, place)];
  // Some are kept for superusers, and some room is for who looks after it.
  const raised = `max_connections = ${total + 10} in postgresql.conf`;
  if (count * 2 > room)
    return [
      note(id, "fail", `${sum}; PostgreSQL takes ${room} (${from}), not even two a process`, place, {
        fix: `Write ${raised}, or fewer workers.`,
      }),
    ];
  const borne =
    geventEach === each ? room / count : (room - gevent * geventEach) / Math.max(1, workers + cron);
  return [
    note(id, "warn", `${sum}; PostgreSQL takes ${room} (${from})`, place, {
      fix:
        borne < 1
          ? `Write ${raised}, or lower db_maxconn_gevent.`
          : `Write db_maxconn = ${Math.floor(borne)}, or ${raised}.`,
    }),
  ];
}
