import { type TestResult, testHooks } from "../alert/alerts.ts";
import { systemClock } from "../base/clock.ts";
import { alertSender } from "../start/alerts.ts";
import { ask, askAdmin, member } from "./admin-client.ts";
import { alertHelp } from "./help.ts";
import { printProblems, processSettings, whereToAsk } from "./settings.ts";

/** A test takes as long as the slowest address (alert/post), and a gateway that is busy a little more. */
const testTimeoutMs = 15_000;
const field = "alerts";

/** `odoo-gateway alert [status] | alert test`; 0 done, 1 not, 2 misspelt. */
export async function alert(args: readonly string[]): Promise<number> {
  const [what = "status", stray] = args;
  if (stray !== undefined || (what !== "status" && what !== "test")) {
    const wrong =
      stray === undefined ? `there is no "${what}", only status and test` : `"${stray}" was not expected`;
    process.stderr.write(`${wrong}\n\n${alertHelp}`);
    return 2;
  }
  return what === "test" ? test() : status();
}

async function status(): Promise<number> {
  const text = await askAdmin({ method: "GET", path: "/alerts", field });
  if (text === null) return 1;
  process.stdout.write(statusText(text));
  return 0;
}

/** The gateway that runs sends it: by its settings, its network, its trust. Where none runs, this process does. */
async function test(): Promise<number> {
  const loaded = processSettings();
  const listen = loaded.ok ? loaded.value.settings.adminListen : whereToAsk();
  const asked = { method: "POST", path: "/alerts/test", field, timeoutMs: testTimeoutMs } as const;
  const answer = listen === null ? null : await ask(listen, asked);
  if (answer?.isThere === true) {
    if (answer.ok) return report(resultsOf(answer.text));
    process.stderr.write(`${answer.text}\n`);
    return 1;
  }
  if (!loaded.ok) {
    printProblems(loaded.error);
    return 1;
  }
  const { settings } = loaded.value;
  const { hooks } = settings.alerts;
  if (hooks.length === 0) {
    process.stderr.write("no gateway runs here, and ALERT_URL is not set here: nobody is told\n");
    return 1;
  }
  process.stderr.write("no gateway answers here: sent by this command, by the settings it finds here\n");
  return report(await testHooks(hooks, alertSender(settings), systemClock));
}

function report(results: readonly Omit<TestResult, "format">[]): number {
  for (const { to, taken, words } of results)
    process.stdout.write(`${taken ? "arrived" : "failed "}  ${to} ${words}\n`);
  return results.length > 0 && results.every(({ taken }) => taken) ? 0 : 1;
}

function resultsOf(text: string): readonly Omit<TestResult, "format">[] {
  return listOf(member(text, "results")).map((one) => ({
    to: textOf(one, "to"),
    taken: Reflect.get(one, "taken") === true,
    words: textOf(one, "words"),
  }));
}

function statusText(text: string): string {
  const hooks = listOf(member(text, "hooks"));
  if (hooks.length === 0) return "nobody is told: ALERT_URL is not set\n";
  const firing = listOf(member(text, "firing"));
  const lines = firing.length === 0 ? ["nothing needs a person"] : [];
  for (const one of firing) {
    const [severity, since] = [textOf(one, "severity"), textOf(one, "since")];
    lines.push(
      `${severity.padEnd(8)}  ${textOf(one, "summary")}, since ${since}`,
      `          ${textOf(one, "remedy")}`,
    );
  }
  for (const one of hooks) {
    const last: unknown = Reflect.get(one, "last");
    const waiting: unknown = Reflect.get(one, "waiting");
    const said = isObject(last)
      ? `${textOf(last, "words")} at ${textOf(last, "at")}`
      : "nothing was sent yet";
    const left = typeof waiting === "number" && waiting > 0 ? `; ${waiting} waiting` : "";
    lines.push(`to        ${textOf(one, "to")} as ${textOf(one, "format")}: ${said}${left}`);
  }
  return `${lines.join("\n")}\n`;
}

function listOf(value: unknown): readonly object[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  return list.filter(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function textOf(value: object, name: string): string {
  const text: unknown = Reflect.get(value, name);
  return typeof text === "string" ? text : "";
}
