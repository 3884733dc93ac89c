import { type SettingRow, settingTable } from "./table.ts";

/** docs/options.md, whole. A test holds the file equal to it. */
export function optionsMarkdown(): string {
  const rows = settingTable.map(
    (row: SettingRow) =>
      `| \`${row.name}\` | ${typeWords(row)} | ${defaultCell(row)} | ${row.meaning.replaceAll("|", "\\|")} |`,
  );
  return `# Options

<!-- Made from src/settings/table.ts; a test holds the two equal. -->

Every option is an environment variable, or a key of \`gateway.yaml\` in the folder the gateway is started in
(\`GATEWAY_FILE\` names another file). The key is the same name in lower case: \`ODOO_URL\` is \`odoo_url:\`.
The environment wins. An empty value counts as not set. A misspelt name is an error that names the right one,
and all mistakes are reported at once, before anything is opened.

- *list*: separated by commas or spaces; in \`gateway.yaml\` also a YAML list.
- *address*: \`host:port\`, \`[v6]:port\`, or \`:port\` for every address, IPv4 and IPv6.
- *networks*: addresses or CIDR (\`10.0.0.0/8\`, \`2001:db8::/32\`), or \`none\`.
- *size*: \`64MiB\`, \`128MB\`, or bytes. *duration*: \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`30d\`, \`1y\`.
- *path*: when relative, from the folder the gateway is started in.

| option | value | default | meaning |
| --- | --- | --- | --- |
${rows.join("\n")}

\`\`\`yaml
# gateway.yaml
domain: [erp.example.com, shop.example.com]
odoo_url: http://odoo:8069
admin_networks:
  - 192.0.2.0/24
  - 2001:db8:1::/48
body_max: 256MiB

# The three sections that have no variable of the environment.
hosts:
  shop.example.com: { database: shop }
api:
  - networks: [192.0.2.0/24]
    services: [common, object]
    models: [sale.*, res.partner]
    methods: [read, search*]
    rate: 60/min
cors:
  - paths: [/json/2/**]
    origins: [https://app.example.net]
\`\`\`

\`hosts:\` names the database of single hosts, as \`DATABASE\` does for all. \`api:\` says which programs may call what:
[operations](operations.md#programs). \`cors:\` says which other sites' pages may: [operations](operations.md#pages-of-other-sites).
`;
}

/** The same table for a terminal: one or two lines a setting. */
export function optionsText(): string {
  const width = Math.max(...settingTable.map((row) => row.name.length));
  return settingTable
    .map((row: SettingRow) => {
      const fallback = row.default ?? row.defaultWords ?? "none";
      const meaning = row.meaning.replaceAll("`", "");
      return `${row.name.padEnd(width)}  ${meaning}\n${" ".repeat(width)}  ${typeWords(row).replaceAll("`", "").replaceAll("\\", "")} [${fallback}]\n`;
    })
    .join("");
}

function typeWords(row: SettingRow): string {
  switch (row.type) {
    case "choice":
      return (row.choices ?? []).map((choice) => `\`${choice}\``).join(", ");
    case "yes/no":
      return "`true`, `false`";
    case "names":
    case "urls":
    case "methods":
    case "origins":
    case "path patterns":
    case "account names":
      return `list of ${row.type}`;
    case "secret urls":
      return "list of URLs, secret";
    case "networks":
    case "url":
    case "address":
    case "path":
    case "size":
    case "duration":
    case "count":
    case "text":
    case "secret":
      return row.type;
  }
}

function defaultCell(row: SettingRow): string {
  return row.default === null ? (row.defaultWords ?? "none") : `\`${row.default}\``;
}
