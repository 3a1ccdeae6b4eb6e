/** The shell of the dashboards: bar, controls of the view, and the page. */

import type { JSX } from "preact";

import { Bar } from "./controls/Bar";
import { Filters } from "./controls/Filters";
import { isHelpOpen } from "./controls/window";
import { Icon } from "./controls/Icon";
import { RangePicker } from "./controls/RangePicker";
import { ComparePicker, IntervalPicker } from "./controls/Selects";
import { change, view } from "./model/address";
import { catalogue, data, isLoading, isWaiting, loadCatalogue, problem, refresh } from "./model/state";
import { Events, Help, UnknownPage, Waiting, Warnings } from "./views/lazy";
import { Overview } from "./views/Overview";
import { Problem } from "./views/Problem";

function Controls(): JSX.Element {
  return (
    <div class="controls" role="toolbar" aria-label="View">
      <Filters />
      <div class="pickers">
        <RangePicker />
        {!view.value.page && <ComparePicker />}
        {!view.value.page && <IntervalPicker />}
        <button type="button" class={isLoading.value ? "button bare busy" : "button bare"} aria-label="Refresh" title="Refresh (R)" onClick={refresh}>
          <Icon name="refresh" />
        </button>
      </div>
    </div>
  );
}

function Page({ isKiosk }: { isKiosk: boolean }): JSX.Element {
  const retry = (): void => void (catalogue.value ? refresh() : loadCatalogue());
  if (isWaiting.value) {
    return <Waiting />;
  }
  const { page } = view.value;
  const warnings = data.value?.trend.meta.warnings ?? [];
  if (page && page !== "events") {
    return <UnknownPage />;
  }
  return page ? (
    <>
      <Controls />
      {catalogue.value && <Events />}
    </>
  ) : (
    <>
      {!isKiosk && <Controls />}
      {problem.value && <Problem error={problem.value} onRetry={retry} />}
      {warnings.length > 0 && <Warnings warnings={warnings} />}
      {(!problem.value || data.value) && <Overview />}
    </>
  );
}

export function App(): JSX.Element {
  const isKiosk = view.value.isKiosk;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to content
      </a>
      {!isKiosk && <Bar />}
      <main id="main" tabIndex={-1} class={isKiosk ? "kiosk" : ""}>
        <h1 class="unseen">{view.value.page || "Overview"}</h1>
        <Page isKiosk={isKiosk} />
        {isKiosk && (
          <button type="button" class="button leave-kiosk" onClick={() => change({ isKiosk: false })}>
            Leave kiosk mode
          </button>
        )}
      </main>
      {isHelpOpen.value && <Help />}
    </>
  );
}
