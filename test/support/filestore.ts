import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { FileAnswer } from "./files-upstream.ts";

/** A filestore on the disk, as Odoo makes it. */
export interface TestFilestore {
  readonly directory: string;
  /** Writes a file; its `<database>/<xx>/<sha1>`. */
  put(body: string | Buffer, database?: string): string;
  /** The absolute path of one. */
  at(path: string): string;
  close(): void;
}

export function makeFilestore(): TestFilestore {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "odoo-gateway-filestore-")));
  const directory = join(folder, "filestore");
  mkdirSync(directory);
  return {
    directory,
    put(body, database = "prod") {
      const sha1 = createHash("sha1").update(body).digest("hex");
      const path = `${database}/${sha1.slice(0, 2)}/${sha1}`;
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), body);
      return path;
    },
    at: (path) => join(directory, path),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What Odoo answers with `x_sendfile`: the file's name, and no body. */
export function naming(path: string, fields: readonly string[] = [], status = "200 OK"): FileAnswer {
  const where = [`X-Sendfile: /var/lib/odoo/filestore/${path}`, `X-Accel-Redirect: /web/filestore/${path}`];
  return { status, fields: [...fields, ...where] };
}

/** Descriptors of this process that are open below a folder; null where nobody can tell. */
export function openBelow(directory: string): number | null {
  if (process.platform !== "linux") return null;
  const links = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return links.filter((link) => link.startsWith(`${directory}/`)).length;
}
