/** Versions of Node with the security fixes this gateway counts on; the package asks for the same (scripts/manifest.js). */
const least: Readonly<Record<number, readonly [minor: number, patch: number]>> = { 24: [17, 0], 26: [3, 1] };
/** Newer lines have them from their first version on. */
const newestNamed = 26;

/** One line for people on what is wrong with this version of Node (`process.versions.node`); null: it will do. */
export function nodeProblem(version: string): string | null {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const from = least[major];
  const isFit =
    from === undefined ? major > newestNamed : minor > from[0] || (minor === from[0] && patch >= from[1]);
  if (isFit) return null;
  const why = major === 25 ? "gets no security fixes any more" : "is too old";
  return `problem: Node ${version} ${why}; use Node 24 or 26, from 24.17 or 26.3.1 on (from a checkout, npm start and npx odoo-gateway bring their own)`;
}
