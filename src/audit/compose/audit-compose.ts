import { type Note, note, orPass } from "../note.ts";
import { hardening } from "./hardening.ts";
import { imageAge } from "./image-age.ts";
import { odooOptions } from "./odoo-options.ts";
import { publishedPorts } from "./ports.ts";
import type { ComposeFile } from "./read.ts";
import { running } from "./running.ts";
import { composeSecrets } from "./secrets.ts";

/** Everything the compose files of a project tell, laid over each other. */
export function auditCompose(compose: ComposeFile, nowMs: number): readonly Note[] {
  return [
    ...files(compose),
    ...publishedPorts(compose),
    ...composeSecrets(compose),
    ...hardening(compose),
    ...running(compose),
    ...imageAge(compose, nowMs),
    ...odooOptions(compose),
  ];
}

function files({ file, files: read, unread }: ComposeFile): readonly Note[] {
  const id = "compose-files";
  return orPass(
    unread.map(({ thing, place }) => note(id, "skipped", `${thing}; what it says is not known`, place)),
    id,
    read.length === 1 ? "one file" : `${read.slice(0, 8).join(", ")}, laid over each other`,
    { file, line: null },
  );
}
