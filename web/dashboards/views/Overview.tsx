/** The overview: figures, the chart of the chosen figure, and lists to filter by. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Icon } from "../controls/Icon";
import { addFilter, change, view } from "../model/address";
import { LISTS, OVERVIEW } from "../model/documents";
import { chipOf } from "../model/filters";
import { rangeName } from "../model/format";
import { type List, openTab, type Tab } from "../model/lists";
import { MEASURES } from "../model/measures";
import { isZoomed } from "../model/ranges";
import type { Group, GroupsResult, Series } from "../model/results";
import { data, isLoading, lists, measure, overviewVariables } from "../model/state";
import { Kpi, KpiSkeleton } from "../panels/Kpi";
import { Panel } from "../panels/Panel";
import { TimeSeries } from "../panels/TimeSeries";
import { groupLabel, TopList, TopListSkeleton } from "../panels/TopList";
import { AllGroups, NothingFound, withParts } from "./lazy";

const MEASURE_NAMES = Object.keys(MEASURES);

function Figures({ series }: { series: Series | undefined }): JSX.Element {
  const chosen = view.value.measure in MEASURES ? view.value.measure : "events";
  return (
    <div class="kpis">
      {MEASURE_NAMES.map((name) => {
        const { title, total, column } = MEASURES[name]!;
        return series ? (
          <Kpi
            key={name}
            title={title}
            value={total(series.total) ?? null}
            previous={series.previousTotal ? total(series.previousTotal) : undefined}
            values={column(series.columns)}
            isChosen={name === chosen}
            onChoose={() => change({ measure: name })}
          />
        ) : (
          <KpiSkeleton key={name} title={title} />
        );
      })}
    </div>
  );
}

/** Range to return to from a zoom. */
let widerRange = "7d";

function zoomTo(range: string): void {
  if (!isZoomed(view.value.range)) {
    widerRange = view.value.range;
  }
  change({ range, granularity: "AUTO" });
}

function MainChart(): JSX.Element {
  const trend = data.value?.trend;
  const { title, column } = measure.value;
  const single = trend?.series[0];
  const { comparisonRange, range } = trend?.meta ?? {};
  const isEmpty = trend && !trend.series.some(({ total }) => total["count"]);
  return (
    <Panel
      title={`${title} over time`}
      class="main-chart"
      document={OVERVIEW}
      variables={overviewVariables.value}
      table={trend ? () => withParts(({ tableOf }) => tableOf(trend, title, column)) : null}
      actions={
        isZoomed(view.value.range) && (
          <button type="button" class="button small" onClick={() => change({ range: widerRange, granularity: "AUTO" })}>
            <Icon name="zoomOut" />
            Zoom out
          </button>
        )
      }
      heading={
        <>
          <h2>{title}</h2>
          <p class="legend">
            {range && (
              <span>
                <i class="dot series-0" />
                {rangeName(range.from, range.to, range.timezone)}
              </span>
            )}
            {comparisonRange && (
              <span>
                <i class="dash" />
                {rangeName(comparisonRange.from, comparisonRange.to, comparisonRange.timezone)}
              </span>
            )}
          </p>
        </>
      }
    >
      {!trend && <div class="chart bone" />}
      {trend && isEmpty && !single?.previousTotal?.["count"] && <NothingFound />}
      {trend && (!isEmpty || Boolean(single?.previousTotal?.["count"])) && (
        <TimeSeries result={trend} title={title} column={column} onZoom={zoomTo} />
      )}
    </Panel>
  );
}

function Tabs({ list, tab }: { list: List; tab: Tab }): JSX.Element {
  const open = (key: string): void => {
    const { [list.name]: _, ...rest } = view.value.tabs;
    change({ tabs: key === list.tabs[0]?.key ? rest : { ...rest, [list.name]: key } });
  };
  if (list.tabs.length === 1) {
    return <h2>{tab.title}</h2>;
  }
  if (list.tabs.length > 4) {
    return (
      <h2 class="select-heading">
        <label>
          <span class="unseen">List of</span>
          <select value={tab.key} onChange={(event) => open(event.currentTarget.value)}>
            {list.tabs.map(({ key, title }) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
          </select>
        </label>
      </h2>
    );
  }
  return (
    <h2 class="tabs">
      {list.tabs.map(({ key, title }) => (
        <button key={key} type="button" aria-pressed={key === tab.key} onClick={() => open(key)}>
          {title}
        </button>
      ))}
    </h2>
  );
}

/** Number of rows of a list; the answer has one more, in place of the events without the property. */
const ROWS = 8;

/** Leave out the events without the property of a list, unless there are no others. */
function withoutMissing(result: GroupsResult, tab: Tab): GroupsResult {
  const isProperty = "property" in tab.groupBy;
  const present = result.series.filter(({ key }) => !isProperty || key.some(({ value }) => value !== null));
  return { ...result, series: (present.length ? present : result.series).slice(0, ROWS) };
}

function ListPanel({ list, result }: { list: List; result: GroupsResult | undefined }): JSX.Element {
  const [isAll, setAll] = useState(false);
  const tab = openTab(list, view.value.tabs);
  const { title, total } = measure.value;
  // The list may be that of another tab or figure until the answer is here.
  const keyName = "property" in tab.groupBy ? tab.groupBy.property : tab.groupBy.field;
  const isCurrent = result?.series.every((group) => group.key[0]?.name === keyName && total(group.total) !== undefined);
  const visible = result && withoutMissing(result, tab);
  const whole = total(data.value?.trend.series[0]?.total ?? {}) ?? null;
  const choose = (group: Group): void => {
    group.key.forEach((key) => addFilter(chipOf(tab.field, key)));
    setAll(false);
  };
  const shares = view.value.measure === "depth" ? null : whole;
  const more = (result?.meta.totalGroups ?? 0) - Math.min(result?.series.length ?? 0, ROWS);
  return (
    <Panel
      title={list.title}
      class="list"
      heading={<Tabs list={list} tab={tab} />}
      actions={<span class="column-title">{title}</span>}
      document={OVERVIEW}
      variables={overviewVariables.value}
      table={
        result
          ? async () => ({ columns: [tab.title, title], rows: visible!.series.map((group) => [groupLabel(group, tab.title), total(group.total) ?? null]) })
          : null
      }
    >
      {result && isCurrent ? <TopList result={visible!} title={tab.title} total={total} whole={shares} onChoose={choose} /> : <TopListSkeleton />}
      {more > 0 && (
        <button type="button" class="button bare all" onClick={() => setAll(true)}>
          Show all {result!.meta.totalGroups.toLocaleString("en-GB")}
        </button>
      )}
      {isAll && <AllGroups tab={tab} whole={shares} onChoose={choose} onClose={() => setAll(false)} />}
    </Panel>
  );
}

export function Overview(): JSX.Element {
  const answer = data.value;
  return (
    <div class={isLoading.value && answer ? "overview loading" : "overview"} aria-busy={isLoading.value}>
      <div class="panel top">
        <Figures series={answer?.trend.series[0]} />
        <MainChart />
      </div>
      <div class="lists">
        {LISTS.map((index) => {
          const list = lists.value[index];
          return list && <ListPanel key={list.name} list={list} result={answer?.[`list${index}`]} />;
        })}
      </div>
    </div>
  );
}
