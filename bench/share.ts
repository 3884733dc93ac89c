import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A share of the processors for a server and all its processes (Linux control groups, version 1 or 2), so that what two workers bring can be measured where clients and upstream are on
 * the same two cores: whoever has its share used up waits, and the others have the rest.
 */
export interface Share {
  /** A shell command that puts its shell into the group; what it starts is in it too. */
  readonly enter: string;
  close(): void;
}

const root = "/sys/fs/cgroup";
/** Short: a process that waits for its next share waits a few milliseconds. */
const periodUs = 10_000;

/** Null: this machine does not let us make one. `cores`: of the time of one processor. */
export function openShare(name: string, cores: number): Share | null {
  const isFirst = existsSync(join(root, "cpu", "cpu.cfs_quota_us"));
  const directory = join(root, isFirst ? "cpu" : "", `odoo-gateway-bench-${process.pid}-${name}`);
  const quotaUs = Math.round(cores * periodUs);
  try {
    if (!isFirst && !readFileSync(join(root, "cgroup.subtree_control"), "latin1").includes("cpu"))
      writeFileSync(join(root, "cgroup.subtree_control"), "+cpu");
    mkdirSync(directory);
    if (isFirst) {
      writeFileSync(join(directory, "cpu.cfs_period_us"), String(periodUs));
      writeFileSync(join(directory, "cpu.cfs_quota_us"), String(quotaUs));
    } else writeFileSync(join(directory, "cpu.max"), `${quotaUs} ${periodUs}`);
  } catch {
    return null;
  }
  return {
    enter: `echo $$ > ${join(directory, "cgroup.procs")}`,
    close() {
      try {
        rmdirSync(directory);
      } catch {
        // A process is still in it; it goes with the machine.
      }
    },
  };
}
