/** Parts that the first picture does not need: one script, fetched when the first of them is shown. */

import { signal } from "@preact/signals";
import type { ComponentType, JSX } from "preact";

type Parts = typeof import("./parts");

const parts = signal<Parts | null>(null);
let isAsked = false;

function fetchParts(): void {
  if (!isAsked) {
    isAsked = true;
    withParts(() => {}).catch(() => void (isAsked = false)); // offline: the next part asks again
  }
}

/** Use the parts: at once if they are here. */
export async function withParts<Result>(use: (parts: Parts) => Result): Promise<Result> {
  if (parts.value) {
    return use(parts.value);
  }
  parts.value = await import("./parts");
  return use(parts.value);
}

function lazy<Properties extends object>(choose: (parts: Parts) => ComponentType<Properties>): (properties: Properties) => JSX.Element | null {
  return (properties) => {
    if (!parts.value) {
      fetchParts();
      return null;
    }
    const Part = choose(parts.value);
    return <Part {...properties} />;
  };
}

export const AllGroups = lazy((found) => found.AllGroups);
export const CompareSheet = lazy((found) => found.CompareSheet);
export const DataTable = lazy((found) => found.DataTable);
export const FilterForm = lazy((found) => found.FilterForm);
export const Help = lazy((found) => found.Help);
export const IntervalSheet = lazy((found) => found.IntervalSheet);
export const NothingFound = lazy((found) => found.NothingFound);
export const PanelChoices = lazy((found) => found.PanelChoices);
export const RangeSheet = lazy((found) => found.RangeSheet);
export const UnknownPage = lazy((found) => found.UnknownPage);
export const Waiting = lazy((found) => found.Waiting);
export const WindowChoices = lazy((found) => found.WindowChoices);
