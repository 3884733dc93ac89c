/** Elements that hold a value of their own (xmlrpc.com/spec, and what Python's library reads beside it). */
export const scalars: ReadonlySet<string> = new Set([
  "string",
  "int",
  "i1",
  "i2",
  "i4",
  "i8",
  "boolean",
  "double",
  "float",
  "bigdecimal",
  "biginteger",
  "base64",
  "dateTime.iso8601",
  "nil",
]);

/** What may stand in an element, and how often at most; scalars are added to `value`. */
export const children: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map([
  ["", new Map([["methodCall", 1]])],
  [
    "methodCall",
    new Map([
      ["methodName", 1],
      ["params", 1],
    ]),
  ],
  ["params", new Map([["param", Number.POSITIVE_INFINITY]])],
  ["param", new Map([["value", 1]])],
  ["value", new Map([...scalars, "array", "struct"].map((name) => [name, 1]))],
  ["array", new Map([["data", 1]])],
  ["data", new Map([["value", Number.POSITIVE_INFINITY]])],
  ["struct", new Map([["member", Number.POSITIVE_INFINITY]])],
  [
    "member",
    new Map([
      ["name", 1],
      ["value", 1],
    ]),
  ],
]);
