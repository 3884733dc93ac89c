/** The `odoo-gateway` command: picks the sub-command. Imported by nobody. */
import { nearestName } from "./base/nearest.ts";
import { nodeProblem } from "./base/node-version.ts";
import { packageRoot } from "./base/package-root.ts";
import {
  alertHelp,
  auditHelp,
  bansHelp,
  cacheHelp,
  certsHelp,
  checkHelp,
  cspHelp,
  demoHelp,
  explainHelp,
  healthHelp,
  mainHelp,
  maintenanceHelp,
  runHelp,
  validateHelp,
} from "./cli/help.ts";
import { tolerateOutput } from "./cli/output.ts";
import { Signals } from "./cli/signals.ts";
import { startUnoptimized } from "./cli/tidy-heap.ts";

interface Command {
  readonly help: string;
  /** Loads what the command needs, and only then: a running gateway keeps nothing of the others in memory. */
  readonly load: () => Promise<(args: readonly string[]) => number | Promise<number>>;
  /** Takes arguments of its own. */
  readonly takesArguments: boolean;
  /** A server: what it runs to start, it runs once. */
  readonly serves?: boolean;
}

const commands: ReadonlyMap<string, Command> = new Map([
  [
    "run",
    {
      help: runHelp,
      load: async () => {
        const signals = new Signals();
        const { run } = await import("./cli/run.ts");
        return () => run(signals);
      },
      takesArguments: false,
      serves: true,
    },
  ],
  // Started by `run`, not by people: no help names it.
  [
    "worker",
    {
      help: runHelp,
      load: async () => (await import("./cli/worker.ts")).worker,
      takesArguments: false,
      serves: true,
    },
  ],
  ["demo", { help: demoHelp, load: async () => (await import("./cli/demo.ts")).demo, takesArguments: true }],
  [
    "validate",
    {
      help: validateHelp,
      load: async () => (await import("./cli/validate.ts")).validate,
      takesArguments: false,
    },
  ],
  [
    "explain",
    { help: explainHelp, load: async () => (await import("./cli/explain.ts")).explain, takesArguments: true },
  ],
  [
    "check",
    { help: checkHelp, load: async () => (await import("./cli/check.ts")).check, takesArguments: true },
  ],
  [
    "audit",
    { help: auditHelp, load: async () => (await import("./cli/audit.ts")).audit, takesArguments: true },
  ],
  [
    "certs",
    { help: certsHelp, load: async () => (await import("./cli/certs.ts")).certs, takesArguments: true },
  ],
  [
    "alert",
    { help: alertHelp, load: async () => (await import("./cli/alert.ts")).alert, takesArguments: true },
  ],
  ["bans", { help: bansHelp, load: async () => (await import("./cli/bans.ts")).bans, takesArguments: true }],
  [
    "cache",
    { help: cacheHelp, load: async () => (await import("./cli/cache.ts")).cache, takesArguments: true },
  ],
  ["csp", { help: cspHelp, load: async () => (await import("./cli/csp.ts")).csp, takesArguments: true }],
  [
    "maintenance",
    {
      help: maintenanceHelp,
      load: async () => (await import("./cli/maintenance.ts")).maintenance,
      takesArguments: true,
    },
  ],
  [
    "health",
    { help: healthHelp, load: async () => (await import("./cli/health.ts")).health, takesArguments: false },
  ],
]);

function unknown(name: string): number {
  const near = nearestName(
    name,
    [...commands.keys()].filter((one) => one !== "worker"),
  );
  process.stderr.write(
    near === null
      ? `there is no command "${name}"\n\n${mainHelp}`
      : `there is no command "${name}"; did you mean ${near}?\n`,
  );
  return 2;
}

async function main(args: readonly string[]): Promise<number> {
  const [first = "run", ...rest] = args;
  if (commands.get(first)?.serves !== true) tolerateOutput();
  if (first === "--help" || first === "-h" || first === "help") {
    const named = rest[0] === undefined ? undefined : commands.get(rest[0]);
    if (rest[0] !== undefined && named === undefined) return unknown(rest[0]);
    process.stdout.write(named?.help ?? mainHelp);
    return 0;
  }
  if (first === "--version" || first === "-v") {
    process.stdout.write(`${packageRoot().version}\n`);
    return 0;
  }
  const command = commands.get(first);
  if (command === undefined) return unknown(first);
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
  const problem = nodeProblem(process.versions.node);
  if (problem !== null) {
    process.stderr.write(`${problem}\n`);
    return 1;
  }
  if (command.serves === true) startUnoptimized();
  const call = await command.load();
  return call(rest);
}

process.exitCode = await main(process.argv.slice(2));
