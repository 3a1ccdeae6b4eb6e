/** Filters of the view: chips for people, an `EventFilter` for the API. */

import type { GroupKey } from "./results";

export type EventFilter = Record<string, unknown>;

/** Operators of a chip: their words, and whether they need a value. */
export const OPERATORS = {
  is: { words: "is", needsValue: true },
  not: { words: "is not", needsValue: true },
  contains: { words: "contains", needsValue: true },
  lacks: { words: "does not contain", needsValue: true },
  set: { words: "is set", needsValue: false },
  unset: { words: "is not set", needsValue: false },
  equals: { words: "=", needsValue: true },
  differs: { words: "≠", needsValue: true },
} as const;
export type Operator = keyof typeof OPERATORS;

/** Operators that a person chooses from; rows of lists give `equals` for values that are no texts. */
export const CHOICES: readonly Operator[] = ["is", "not", "contains", "lacks", "set", "unset"];

const OPPOSITES: Readonly<Record<Operator, Operator>> = {
  is: "not",
  not: "is",
  contains: "lacks",
  lacks: "contains",
  set: "unset",
  unset: "set",
  equals: "differs",
  differs: "equals",
};

export interface Chip {
  /** `name`, `userId`, `sessionId`, or `property.` and the key. */
  field: string;
  operator: Operator;
  value: string;
}

const FIELDS: Readonly<Record<string, string>> = { name: "Event", userId: "User", sessionId: "Session" };
const PROPERTY = "property.";
const ABBREVIATIONS: Readonly<Record<string, string>> = { utm: "UTM", url: "URL", os: "OS", id: "ID", ip: "IP", ab: "A/B" };

/** Return a key as a title: `utm_source` is "UTM source". */
export function titleOf(key: string): string {
  const words = key.replaceAll(/[_-]+/g, " ").split(" ").map((word) => ABBREVIATIONS[word] ?? word);
  const title = words.join(" ").trim() || key;
  return title.charAt(0).toUpperCase() + title.slice(1);
}

export function fieldTitle(field: string): string {
  return FIELDS[field] ?? titleOf(field.slice(PROPERTY.length));
}

export function propertyField(key: string): string {
  return PROPERTY + key;
}

export function opposite(chip: Chip): Chip {
  return { ...chip, operator: OPPOSITES[chip.operator] };
}

export function isSame(one: Chip, two: Chip): boolean {
  return chipToText(one) === chipToText(two);
}

/** Return the chip that selects the rows of a group. */
export function chipOf(field: string, key: GroupKey): Chip {
  if (key.value === null) {
    return { field, operator: "unset", value: "" };
  }
  const isText = key.type === "STRING" || !field.startsWith(PROPERTY);
  return { field, operator: isText ? "is" : "equals", value: key.value };
}

export function chipToText({ field, operator, value }: Chip): string {
  return `${operator}:${field.replaceAll("\\", "\\\\").replaceAll(":", "\\.")}:${value}`;
}

export function chipFromText(text: string): Chip | null {
  const [operator = "", field = "", ...value] = text.split(":");
  if (!(operator in OPERATORS) || !(field in FIELDS || field.startsWith(PROPERTY))) {
    return null;
  }
  const name = field.replaceAll(/\\(.)/g, (_, character) => (character === "." ? ":" : character));
  return { field: name, operator: operator as Operator, value: value.join(":") };
}

const TESTS: Readonly<Record<Operator, (value: string) => [string, object]>> = {
  is: (value) => ["string", { eq: value }],
  not: (value) => ["string", { neq: value }],
  contains: (value) => ["string", { contains: value, caseSensitive: false }],
  lacks: (value) => ["string", { notContains: value, caseSensitive: false }],
  set: () => ["string", { isSet: true }],
  unset: () => ["string", { isSet: false }],
  equals: (value) => ["json", { eq: value }],
  differs: (value) => ["json", { neq: value }],
};

function toFilter({ field, operator, value }: Chip): EventFilter {
  const [type, test] = TESTS[operator](value);
  return field.startsWith(PROPERTY)
    ? { property: { key: field.slice(PROPERTY.length), [type]: test } }
    : { [field]: test };
}

const ALTERNATIVES: readonly Operator[] = ["is", "equals", "contains", "unset"];

/** Return the filter of all chips. Values of one field are alternatives, all else must hold. */
export function filterOf(chips: readonly Chip[]): EventFilter | null {
  const alternatives = new Map<string, EventFilter[]>();
  const all: EventFilter[] = [];
  for (const chip of chips) {
    if (ALTERNATIVES.includes(chip.operator)) {
      alternatives.set(chip.field, [...(alternatives.get(chip.field) ?? []), toFilter(chip)]);
    } else {
      all.push(toFilter(chip));
    }
  }
  for (const filters of alternatives.values()) {
    all.push(...(filters.length > 1 ? [{ OR: filters }] : filters));
  }
  return all.length ? { AND: all } : null;
}
