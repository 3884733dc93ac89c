import { openEnds, takesAnything } from "../conf/dbfilter.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
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

interface Bad {
  readonly name: RegExp;
  readonly value: { readonly test: (value: string) => boolean };
  readonly words: string;
}

const openFilter: Pick<Bad, "value" | "words"> = {
  value: { test: (value) => openEnds(value).length > 0 || takesAnything(value) },
  words: "does not hold the end of a database's name",
};

const isNo = /^(?:false|no|off|0)$/i;
const isYes = /^(?:true|yes|on|1)$/i;
const blinding = "hides the failed log-ins that fail2ban and CrowdSec read";
const badVariables: readonly Bad[] = [
  { name: /^(?:ODOO_)?LOG_LEVEL$/, value: /^(?:warn|warning|error|critical)$/i, words: blinding },
  { name: /^(?:ODOO_)?LIST_DB$/, value: isYes, words: "lists the databases to everybody" },
  { name: /^(?:ODOO_)?PROXY_MODE$/, value: isNo, words: "makes Odoo take the gateway for every client" },
  {
    name: /^(?:ODOO_)?(?:DEV_MODE|DEV)$/,
    value: /^(?!(?:false|no|off|0|)$)/i,
    words: "is for developers' machines",
  },
  { name: /^(?:ODOO_)?(?:TEST_ENABLE|WITH_DEMO)$/, value: isYes, words: "has no place in production" },
  { name: /^(?:ODOO_)?(?:DB_?FILTER)$/, ...openFilter },
];

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

const badFlags: readonly (Pick<Bad, "value" | "words"> & { readonly flag: RegExp })[] = [
  { flag: /^--dev$/, value: /./, words: "is for developers' machines" },
  { flag: /^--log-level$/, value: /^(?:warn|error|critical)$/, words: blinding },
  { flag: /^--test-(?:enable|tags|file)$/, value: /^/, words: "runs tests in production" },
  {
    flag: /^--(?:xmlrpc-interface|xmlrpc-port|longpolling-port)$/,
    value: /^/,
    words: "is the name of an earlier version",
  },
  { flag: /^--db-filter$/, ...openFilter },
];

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
