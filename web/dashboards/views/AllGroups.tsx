/** All groups of a list, in a dialog: search, pages, changes. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Icon } from "../controls/Icon";
import { GROUPS, type GroupsVariables } from "../model/documents";
import type { Tab } from "../model/lists";
import type { Group, GroupsResult, Value } from "../model/results";
import { ask, ServiceError } from "../model/service";
import { measure, question } from "../model/state";
import { TopList, TopListSkeleton } from "../panels/TopList";
import { Problem } from "./Problem";

const TYPING_MS = 200; // a search is asked when typing pauses so long

export function AllGroups({ tab, whole, onChoose, onClose }: { tab: Tab; whole: Value; onChoose: (group: Group) => void; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [search, setSearch] = useState("");
  const [offset, setOffset] = useState(0);
  const [result, setResult] = useState<GroupsResult | null>(null);
  const [error, setError] = useState<ServiceError | null>(null);
  useEffect(() => {
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>("[data-focus]")?.focus();
  }, []);
  useEffect(() => {
    const controller = new AbortController();
    const variables: GroupsVariables = { ...question.value, groupBy: [tab.groupBy], search: search || null, offset };
    const timer = setTimeout(() => {
      ask(GROUPS, variables, controller.signal).then(
        ({ groups }) => {
          setError(null);
          setResult((rows) => (offset && rows ? { ...groups, series: [...rows.series, ...groups.series] } : groups));
        },
        (failure) => failure instanceof ServiceError && setError(failure),
      );
    }, search ? TYPING_MS : 0);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [search, offset, question.value]);
  const leave = (event: MouseEvent): void => {
    if (event.target === dialog.current) {
      onClose(); // a click beside it
    }
  };
  return (
    <dialog ref={dialog} class="all-groups" aria-label={`All: ${tab.title}`} onClose={onClose} onClick={leave}>
      <div class="dialog-body">
        <header>
          <h2>{tab.title}</h2>
          <span class="column-title">{measure.value.title}</span>
          <button type="button" class="button bare" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        <label class="search">
          <Icon name="search" />
          <input
            type="search"
            data-focus
            placeholder="Search"
            aria-label={`Search in ${tab.title}`}
            value={search}
            onInput={(event) => {
              setOffset(0);
              setSearch(event.currentTarget.value);
            }}
          />
        </label>
        <div class="scroll" tabIndex={0} role="region" aria-label="All rows">
          {error && <Problem error={error} onRetry={() => setOffset(0)} />}
          {result ? <TopList result={result} title={tab.title} total={measure.value.total} whole={whole} isDetailed onChoose={onChoose} /> : <TopListSkeleton />}
          {result && result.series.length < result.meta.totalGroups && (
            <button type="button" class="button" onClick={() => setOffset(result.series.length)}>
              Show more
            </button>
          )}
        </div>
      </div>
    </dialog>
  );
}
