import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where this package is installed and which version it is. */
export interface PackageRoot {
  /** Absolute path of the folder with our package.json, where `policies/` and `docs/` stand. */
  readonly directory: string;
  readonly version: string;
}

const packageName = "odoo-gateway";
let found: PackageRoot | null = null;

/**
 * Finds our package by walking up from this file to the package.json that names it, so that it is the same from a
 * checkout, from `build/` and from `node_modules`. Read once. Throws when the installation is broken: nothing of
 * ours can run then.
 */
export function packageRoot(): PackageRoot {
  found ??= findPackageRoot(dirname(fileURLToPath(import.meta.url)));
  return found;
}

function findPackageRoot(start: string): PackageRoot {
  for (let directory = start; ; directory = dirname(directory)) {
    const version = versionIn(directory);
    if (version !== null) {
      return { directory, version };
    }
    if (dirname(directory) === directory) {
      throw new Error(
        `no package.json of ${packageName} in ${start} or above it: the installation is not complete`,
      );
    }
  }
}

/** The version our package.json in `directory` states; null when there is none or it is another package's. */
function versionIn(directory: string): string | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  } catch {
    return null;
  }
  if (typeof parsed !== "object" || parsed === null || !("name" in parsed) || parsed.name !== packageName) {
    return null;
  }
  return "version" in parsed && typeof parsed.version === "string" ? parsed.version : "0.0.0";
}
