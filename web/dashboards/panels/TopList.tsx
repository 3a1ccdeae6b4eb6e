/** Groups of a result as rows with bars, the largest first. */

import type { JSX } from "preact";

import { changeOf, full, groupName, percent, short } from "../model/format";
import type { Aggregates, Group, GroupsResult, Value } from "../model/results";
import { ChangeBadge } from "./Kpi";

export interface TopListProperties {
  result: GroupsResult;
  title: string;
  /** Chooses the aggregate of the bars; default: the first selected one. */
  total?: (aggregates: Aggregates) => Value | undefined;
  unit?: string | null;
  /** Value of all rows, for the shares; null: no shares. */
  whole?: Value;
  isDetailed?: boolean;
  onChoose?: (group: Group) => void;
}

function firstTotal(aggregates: Aggregates): Value {
  return Object.values(aggregates)[0] ?? null;
}

export function groupLabel(group: Group, title: string): string {
  return group.isOther ? "All others" : group.key.map(({ value }) => groupName(value, title)).join(" · ") || group.label;
}

export function TopList({ result, title, total = firstTotal, unit = null, whole = null, isDetailed = false, onChoose }: TopListProperties): JSX.Element {
  const most = result.series.reduce((largest, group) => Math.max(largest, Math.abs(total(group.total) ?? 0)), 0);
  if (!result.series.length) {
    return <p class="nothing">Nothing here in this range.</p>;
  }
  return (
    <ol class="rows">
      {result.series.map((group) => {
        const value = total(group.total) ?? null;
        const label = groupLabel(group, title);
        const share = whole && value !== null ? value / whole : null;
        const isMissing = group.key.some((key) => key.value === null || key.value === "");
        return (
          <li key={group.label + group.isOther}>
            <button type="button" class="row" title={`${label}: ${full(value)}`} disabled={!onChoose || group.isOther} onClick={() => onChoose?.(group)}>
              <span class="fill" style={{ width: `${most ? (Math.abs(value ?? 0) / most) * 100 : 0}%` }} />
              <span class={isMissing ? "label missing" : "label"}>{label}</span>
              {isDetailed && group.previousTotal && <ChangeBadge change={changeOf(value, total(group.previousTotal))} />}
              <span class="value">{short(value, unit)}</span>
              {whole !== null && <span class="share">{share === null ? "" : percent(share)}</span>}
            </button>
          </li>
        );
      })}
    </ol>
  );
}

export function TopListSkeleton(): JSX.Element {
  return (
    <ol class="rows" aria-hidden="true">
      {[92, 71, 58, 44, 37, 26, 18, 11].map((width) => (
        <li key={width}>
          <span class="row">
            <span class="bone fill" style={{ width: `${width}%` }} />
          </span>
        </li>
      ))}
    </ol>
  );
}
