/** The events of the view, newest first; one of them in detail, with all that its user did. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Icon } from "../controls/Icon";
import { addFilter, view } from "../model/address";
import { EVENTS, type EventRow, type EventsData } from "../model/documents";
import { type Chip, propertyField, titleOf } from "../model/filters";
import { eventTime } from "../model/format";
import { ask, ServiceError } from "../model/service";
import { lists, question, refreshes } from "../model/state";
import { Panel } from "../panels/Panel";
import { Problem } from "./Problem";

/** Number of properties that have a column; the detail of an event has all. */
const COLUMNS = 4;

function textOf(value: unknown): string {
  return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
}

function chipFor(key: string, value: unknown): Chip {
  const field = propertyField(key.replaceAll("\\", "\\\\").replaceAll(".", "\\."));
  return typeof value === "string" ? { field, operator: "is", value } : { field, operator: "equals", value: JSON.stringify(value) };
}

/** One fact of an event; a click filters by it. */
function Fact({ title, value, chip, onFilter }: { title: string; value: string; chip: Chip | null; onFilter: (chip: Chip) => void }): JSX.Element {
  return (
    <div>
      <dt>{title}</dt>
      <dd>
        {chip ? (
          <button type="button" title="Show only events like this" onClick={() => onFilter(chip)}>
            {value}
          </button>
        ) : (
          value
        )}
      </dd>
    </div>
  );
}

function Detail({ event, onClose }: { event: EventRow; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const { zone } = view.value;
  const filter = (chip: Chip): void => {
    addFilter(chip);
    onClose();
  };
  const user = event.userId;
  return (
    <dialog ref={dialog} class="drawer" aria-label={`Event ${event.name}`} onClose={onClose} onClick={(click) => click.target === dialog.current && onClose()}>
      <div class="dialog-body">
        <header>
          <h2>{event.name}</h2>
          <button type="button" class="button bare" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        <div class="scroll" tabIndex={0} role="region" aria-label="Details">
          <dl class="facts">
            <Fact title="Time" value={eventTime(event.time, zone)} chip={null} onFilter={filter} />
            <Fact title="Event" value={event.name} chip={{ field: "name", operator: "is", value: event.name }} onFilter={filter} />
            {user !== null && <Fact title="User" value={user} chip={{ field: "userId", operator: "is", value: user }} onFilter={filter} />}
            {event.sessionId !== null && (
              <Fact title="Session" value={event.sessionId} chip={{ field: "sessionId", operator: "is", value: event.sessionId }} onFilter={filter} />
            )}
          </dl>
          <h3>Properties</h3>
          <dl class="facts">
            {Object.entries(event.properties).map(([key, value]) => (
              <Fact key={key} title={key} value={textOf(value)} chip={value !== null && typeof value === "object" ? null : chipFor(key, value)} onFilter={filter} />
            ))}
          </dl>
          <p class="id">
            <code>{event.id}</code>
          </p>
        </div>
        {user !== null && (
          <footer>
            <button type="button" class="button main" onClick={() => filter({ field: "userId", operator: "is", value: user })}>
              Timeline of this user
            </button>
          </footer>
        )}
      </div>
    </dialog>
  );
}

function Rows({ events, keys, onOpen }: { events: readonly EventRow[]; keys: readonly string[]; onOpen: (event: EventRow) => void }): JSX.Element {
  const { zone } = view.value;
  return (
    <div class="scroll event-rows" tabIndex={0} role="region" aria-label="Rows">
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Event</th>
            <th scope="col">User</th>
            {keys.map((key) => (
              <th key={key} scope="col">
                {titleOf(key)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <tr key={event.id} onClick={() => onOpen(event)}>
              <th scope="row">
                <button type="button" onClick={() => onOpen(event)}>
                  {eventTime(event.time, zone)}
                </button>
              </th>
              <td>
                <b>{event.name}</b>
              </td>
              <td>{event.userId}</td>
              {keys.map((key) => (
                <td key={key} title={textOf(event.properties[key])}>
                  {textOf(event.properties[key])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Events(): JSX.Element {
  const [data, setData] = useState<EventsData["events"] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [error, setError] = useState<ServiceError | null>(null);
  const [detail, setDetail] = useState<EventRow | null>(null);
  const { range, timezone, where } = question.value;
  const key = JSON.stringify([range, timezone, where]) + refreshes.value;
  const variables = { range, timezone, where, after: cursor };
  useEffect(() => setCursor(null), [key]);
  useEffect(() => {
    const controller = new AbortController();
    ask(EVENTS, variables, controller.signal).then(
      ({ events }) => {
        setError(null);
        setData((earlier) => (cursor && earlier ? { ...events, nodes: [...earlier.nodes, ...events.nodes] } : events));
      },
      (failure) => failure instanceof ServiceError && setError(failure),
    );
    return () => controller.abort();
  }, [key, cursor]);
  const keys = lists.value.flatMap(({ tabs: [tab] }) => (tab && "property" in tab.groupBy ? [tab.groupBy.property] : [])).slice(0, COLUMNS);
  const count = data?.totalCount;
  const table = async () => ({
    columns: ["Time", "Event", "User", "Session", "Properties"],
    rows: (data?.nodes ?? []).map(({ time, name, userId, sessionId, properties }) => [time, name, userId, sessionId, JSON.stringify(properties)]),
  });
  return (
    <>
      {error && <Problem error={error} onRetry={() => (refreshes.value += 1)} />}
      <Panel
        title="Events"
        class="events"
        document={EVENTS}
        variables={variables}
        table={data && table}
        actions={<span class="column-title">{typeof count === "number" && `${count.toLocaleString("en-GB")} in this range`}</span>}
      >
        {data?.nodes.length === 0 && <p class="nothing">No events {view.value.filters.length ? "pass these filters" : ""} in this range.</p>}
        {data && data.nodes.length > 0 && <Rows events={data.nodes} keys={keys} onOpen={setDetail} />}
        {!data && <div class="chart bone" />}
        {data?.pageInfo.hasNextPage && (
          <button type="button" class="button bare all" onClick={() => setCursor(data.pageInfo.endCursor)}>
            Show more
          </button>
        )}
      </Panel>
      {detail && <Detail event={detail} onClose={() => setDetail(null)} />}
    </>
  );
}
