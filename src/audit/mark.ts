/** The byte order mark that editors of Windows write before a text, and that Python, PostgreSQL and nginx take for a part of it. */
export const byteOrderMark = "\ufeff";

/** What is wrong with a file that begins with it. */
export const markTrouble =
  "the file begins with a byte order mark, which is taken for a part of the first line; save it as UTF-8 without one";
