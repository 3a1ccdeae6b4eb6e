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

export const AllGroups = lazy((all) => all.AllGroups);
export const CompareSheet = lazy((all) => all.CompareSheet);
export const DataTable = lazy((all) => all.DataTable);
export const Events = lazy((all) => all.Events);
export const FilterForm = lazy((all) => all.FilterForm);
export const Help = lazy((all) => all.Help);
export const IntervalSheet = lazy((all) => all.IntervalSheet);
export const NothingFound = lazy((all) => all.NothingFound);
export const PanelChoices = lazy((all) => all.PanelChoices);
export const RangeSheet = lazy((all) => all.RangeSheet);
export const UnknownPage = lazy((all) => all.UnknownPage);
export const Waiting = lazy((all) => all.Waiting);
export const Warnings = lazy((all) => all.Warnings);
export const WindowChoices = lazy((all) => all.WindowChoices);
