import { type Note, note, orPass, quoted } from "../note.ts";
import { badFlags, badVariables } from "../odoo-flags.ts";
import type { ComposeFile, Service } from "./read.ts";
import { interpolate } from "./variables.ts";

/** What the environment or the command line of an Odoo container says against the guides; it outdoes odoo.conf. */
export function odooOptions(compose: ComposeFile): readonly Note[] {
  const id = "compose-odoo-options";
  const services = compose.services.filter(({ kind }) => kind === "odoo");
  if (services.length === 0)
    return [note(id, "skipped", "no service runs Odoo", { file: compose.file, line: null })];
  const notes = services.flatMap((service) => [
    ...fromEnvironment(service, compose),
    ...fromCommand(service, compose),
    ...unread(service, compose),
  ]);
  return orPass(notes, id, "environment and command line of Odoo say nothing against odoo.conf", {
    file: compose.file,
    line: null,
  });
}

/** Files whose variables the container gets and that are not here. */
function unread(service: Service, { readEnvFile }: ComposeFile): readonly Note[] {
  return service
    .envFiles()
    .filter(({ value }) => readEnvFile(value) === null)
    .map(({ value, place }) =>
      note(
        "compose-odoo-options",
        "skipped",
        `${service.name}: env_file ${quoted(value)} is not here; what it sets is not known`,
        place,
      ),
    );
}

function fromEnvironment(service: Service, { variables }: ComposeFile): readonly Note[] {
  return service.wholeEnvironment().flatMap(({ name, written, place }) => {
    // A variable that is not known here stands for some letters.
    const value = interpolate(written, variables, "x").text ?? written;
    const bad = badVariables.find((one) => one.name.test(name) && one.value.test(value) && value !== "");
    return bad === undefined
      ? []
      : [
          note(
            "compose-odoo-options",
            "fail",
            `${service.name}: ${name}=${quoted(interpolate(written, variables).text ?? written)} ${bad.words}`,
            place,
          ),
        ];
  });
}

function fromCommand(service: Service, { variables }: ComposeFile): readonly Note[] {
  const words = service.words();
  return words.flatMap(({ value, place }, index) => {
    const [flag = "", own] = value.split(/=(.*)/s);
    const argument = own ?? words[index + 1]?.value ?? "";
    const known = interpolate(argument, variables, "x").text ?? argument;
    const bad = badFlags.find((one) => one.flag.test(flag) && one.value.test(known));
    return bad === undefined
      ? []
      : [
          note(
            "compose-odoo-options",
            "fail",
            `${service.name}: ${quoted(own === undefined ? flag : value)} ${bad.words}`,
            place,
          ),
        ];
  });
}
