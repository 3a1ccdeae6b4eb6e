/** One figure of a result, with its change and its course. */

import type { JSX } from "preact";

import { type Change, changeOf, full, short } from "../model/format";
import type { Value } from "../model/results";

export interface KpiProperties {
  title: string;
  value: Value;
  previous: Value | undefined;
  values: readonly Value[];
  unit?: string | null;
  isChosen?: boolean;
  onChoose?: () => void;
}

const ARROWS = { up: "▲", down: "▼", same: "" } as const;
const WORDS = { up: "up", down: "down", same: "unchanged" } as const;

export function ChangeBadge({ change }: { change: Change | null }): JSX.Element | null {
  return (
    change && (
      <span class={`change ${change.direction}`}>
        <span aria-hidden="true">{ARROWS[change.direction]}</span>
        <span class="unseen">{WORDS[change.direction]} </span> {change.text}
      </span>
    )
  );
}

/** Return the outline of values in a box of 100 by 24. */
function outline(values: readonly Value[]): string {
  const numbers = values.filter((value): value is number => value !== null);
  const low = Math.min(0, numbers.reduce((one, two) => Math.min(one, two), 0));
  const high = numbers.reduce((one, two) => Math.max(one, two), low);
  const step = 100 / Math.max(values.length - 1, 1);
  const points = values.flatMap((value, index) =>
    value === null ? [] : [`${(index * step).toFixed(1)} ${(23 - ((value - low) / (high - low || 1)) * 22).toFixed(1)}`],
  );
  return points.length > 1 && (low < 0 || high > 0) ? points.join("L") : "";
}

const MOST_POINTS = 60;

/** Return at most 60 means of neighbours: a line of 100 px has no room for more. */
function coarse(values: readonly Value[]): Value[] {
  const size = Math.ceil(values.length / MOST_POINTS);
  return Array.from({ length: Math.ceil(values.length / size) }, (_, index) => {
    const part = values.slice(index * size, (index + 1) * size).filter((value): value is number => value !== null);
    return part.length ? part.reduce((one, two) => one + two, 0) / part.length : null;
  });
}

export function Kpi({ title, value, previous, values, unit = null, isChosen = false, onChoose }: KpiProperties): JSX.Element {
  const change = changeOf(value, previous);
  const path = outline(coarse(values));
  return (
    <button type="button" class="kpi" aria-pressed={isChosen} onClick={onChoose}>
      <span class="kpi-title">{title}</span>
      <span class="kpi-value" title={full(value)}>
        {short(value, unit)}
      </span>
      <span class="kpi-foot">
        {previous !== undefined && (change ? <ChangeBadge change={change} /> : <span class="change same">no data before</span>)}
        {change && <span class="kpi-before" title={`${full(previous)} before`}>from {short(previous, unit)}</span>}
      </span>
      <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
        {path && <path class="spark-area" d={`M${path}V24H${path.split(" ", 1)[0]}Z`} />}
        {path && <path class="spark-line" d={`M${path}`} />}
      </svg>
    </button>
  );
}

export function KpiSkeleton({ title }: { title: string }): JSX.Element {
  return (
    <div class="kpi" aria-hidden="true">
      <span class="kpi-title">{title}</span>
      <span class="bone kpi-value">00,000</span>
      <span class="bone kpi-foot">00 % from 0,000</span>
    </div>
  );
}
