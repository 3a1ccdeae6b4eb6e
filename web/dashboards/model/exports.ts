/** What is on screen, to take away: CSV, JSON, and the question in the explorer. */

import { ROOT } from "./address";
import type { Document } from "./documents";

export interface Table {
  columns: readonly string[];
  rows: readonly (readonly (string | number | null)[])[];
}

/** Return a cell of CSV. A text that a spreadsheet would run as a formula gets an apostrophe. */
function cell(value: string | number | null): string {
  if (typeof value !== "string") {
    return value === null ? "" : String(value);
  }
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function toCsv({ columns, rows }: Table): string {
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n").concat("\r\n");
}

export function toJson({ columns, rows }: Table): string {
  return JSON.stringify(rows.map((row) => Object.fromEntries(row.map((value, index) => [columns[index], value]))), null, 2);
}

export function download(name: string, type: string, content: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000); // the browser reads it a little later
}

/** Return the address that opens a question in the GraphQL explorer. */
export function explorerLink({ text }: Document<unknown, unknown>, variables: object): string {
  const parameters = new URLSearchParams({ query: text, variables: JSON.stringify(variables, null, 2) });
  return new URL(`graphql#${parameters}`, ROOT).href;
}
