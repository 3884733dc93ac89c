/** The `odoo-gateway` command: picks the sub-command. Imported by nobody. */
import { packageRoot } from "./base/package-root.ts";
import { audit } from "./cli/audit.ts";
import { bans } from "./cli/bans.ts";
import { cache } from "./cli/cache.ts";
import { certs } from "./cli/certs.ts";
import { check } from "./cli/check.ts";
import { demo } from "./cli/demo.ts";
import { explain } from "./cli/explain.ts";
import { health } from "./cli/health.ts";
import {
  auditHelp,
  bansHelp,
  cacheHelp,
  certsHelp,
  checkHelp,
  demoHelp,
  explainHelp,
  mainHelp,
  maintenanceHelp,
  runHelp,
  validateHelp,
} from "./cli/help.ts";
import { maintenance } from "./cli/maintenance.ts";
import { run } from "./cli/run.ts";
import { validate } from "./cli/validate.ts";
import { worker } from "./cli/worker.ts";

interface Command {
  readonly help: string;
  readonly call: (args: readonly string[]) => number | Promise<number>;
  /** Takes arguments of its own. */
  readonly takesArguments: boolean;
}

const commands: ReadonlyMap<string, Command> = new Map([
  ["run", { help: runHelp, call: run, takesArguments: false }],
  // Started by `run`, not by people: no help names it.
  ["worker", { help: runHelp, call: worker, takesArguments: false }],
  ["demo", { help: demoHelp, call: demo, takesArguments: true }],
  ["validate", { help: validateHelp, call: validate, takesArguments: false }],
  ["explain", { help: explainHelp, call: explain, takesArguments: true }],
  ["check", { help: checkHelp, call: (args) => check(args), takesArguments: true }],
  ["audit", { help: auditHelp, call: (args) => audit(args), takesArguments: true }],
  ["certs", { help: certsHelp, call: certs, takesArguments: true }],
  ["bans", { help: bansHelp, call: bans, takesArguments: true }],
  ["cache", { help: cacheHelp, call: cache, takesArguments: true }],
  ["maintenance", { help: maintenanceHelp, call: maintenance, takesArguments: true }],
  ["health", { help: mainHelp, call: health, takesArguments: false }],
]);

async function main(args: readonly string[]): Promise<number> {
  const [first = "run", ...rest] = args;
  if (first === "--help" || first === "-h" || first === "help") {
    process.stdout.write(commands.get(rest[0] ?? "")?.help ?? mainHelp);
    return 0;
  }
  if (first === "--version" || first === "-v") {
    process.stdout.write(`${packageRoot().version}\n`);
    return 0;
  }
  const command = commands.get(first);
  if (command === undefined) {
    process.stderr.write(`there is no command "${first}"\n\n${mainHelp}`);
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(command.help);
    return 0;
  }
  const stray = rest[0];
  if (!command.takesArguments && stray !== undefined) {
    process.stderr.write(
      `odoo-gateway ${first} takes no argument, but got "${stray}"; settings come from the environment\n`,
    );
    return 2;
  }
  return command.call(rest);
}

process.exitCode = await main(process.argv.slice(2));
