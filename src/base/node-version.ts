/** Node lines whose security releases we follow; older ones lack fixes, and parts, that this gateway counts on. */
export const nodeMajorMin = 24;

/** One line for people on what is wrong with this version of Node (`process.versions.node`); null: it will do. */
export function nodeProblem(version: string): string | null {
  const major = Number(version.split(".")[0]);
  if (major >= nodeMajorMin) return null;
  return `problem: Node ${version} is too old; use Node 24 or 26 (from a checkout, npm start and npx odoo-gateway bring their own)`;
}
