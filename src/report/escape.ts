const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for an element or a quoted attribute of HTML or XML. Control characters are gone before (`findingOf`). */
export function escapeMarkup(text: string): string {
  return text.replaceAll(/[&<>"']/g, (unit) => entities[unit] ?? unit);
}
