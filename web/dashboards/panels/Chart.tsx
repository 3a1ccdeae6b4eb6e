/** Lines over time, drawn by uPlot: cursor, tooltip, and drag to zoom. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { axisLabel } from "../model/format";
import type { Value } from "../model/results";
import { colorOf, faded, paints } from "../model/theme";

export interface Line {
  label: string;
  values: readonly Value[];
  /** CSS variable of the colour. */
  color: string;
  form: "area" | "line" | "dashed" | "dotted";
}

export interface ChartProperties {
  /** Start of each bucket, in seconds. */
  times: readonly number[];
  lines: readonly Line[];
  zone: string;
  /** Summary for people who don't see the chart. */
  summary: string;
  format: (value: number) => string;
  tooltip: (index: number) => JSX.Element;
  /** Receives the places of the buckets at both ends of a drag. */
  onZoom?: (first: number, last: number) => void;
}

const DASHES: Readonly<Record<string, number[]>> = { dashed: [5, 5], dotted: [2, 4] };
const AXIS_FONT = '12px system-ui, "Segoe UI", Roboto, sans-serif';
const LABEL_WIDTH = 7; // px of a character in the font of the axes
const LEAST_DRAG = 8; // px; less is a click
const MOST_POINTS = 45; // with fewer, each bucket has a dot

function fillOf(color: string): uPlot.Series.Fill {
  return (chart) => {
    const { top, height } = chart.bbox;
    const gradient = chart.ctx.createLinearGradient(0, top, 0, top + height);
    gradient.addColorStop(0, faded(color, 0.26));
    gradient.addColorStop(1, faded(color, 0.01));
    return gradient;
  };
}

function isAlone(values: readonly Value[], index: number): boolean {
  return values[index] != null && values[index - 1] == null && values[index + 1] == null;
}

function seriesOf(line: Line, element: HTMLElement, count: number): uPlot.Series {
  const color = colorOf(element, line.color);
  const lonely = line.values.flatMap((_, index) => (isAlone(line.values, index) ? [index] : []));
  const isMain = line.form === "area" || line.form === "line";
  return {
    stroke: color,
    width: isMain || line.form === "dotted" ? 2 : 1.5,
    ...(line.form in DASHES && { dash: DASHES[line.form]! }),
    ...(line.form === "area" && { fill: fillOf(color) }),
    // A bucket without neighbours has no line: it needs a dot to be seen.
    points: isMain && count <= MOST_POINTS ? { size: 5, fill: color } : { size: 5, fill: color, filter: () => lonely },
  };
}

/** Return the range of the value axis: from 0, unless all values are far from it. */
function valueRange(_: uPlot, min: number | null, max: number | null): [number, number] {
  const low = min ?? 0;
  const high = max ?? 0;
  const span = high - low;
  const isFar = low > 0 && span > 0 && span < high / 4;
  const bottom = low >= 0 && !isFar ? 0 : low - span * 0.1;
  return high <= bottom ? [bottom, bottom + (Math.abs(bottom) || 1)] : [bottom, high + (high - bottom) * 0.08];
}

function axes(element: HTMLElement, { zone, format }: ChartProperties): uPlot.Axis[] {
  const color = colorOf(element, "--muted");
  const line = colorOf(element, "--grid");
  const shared = { stroke: color, font: AXIS_FONT, ticks: { show: false } };
  return [
    {
      ...shared,
      grid: { show: false },
      border: { show: true, stroke: line, width: 1 },
      space: 72,
      gap: 8,
      size: 32,
      values: (_, splits, __, ___, step) => splits.map((time) => axisLabel(time * 1000, zone, step)),
    },
    {
      ...shared,
      grid: { stroke: line, width: 1 },
      space: 44,
      gap: 8,
      values: (_, splits) => splits.map((value) => (value === null ? "" : format(value))),
      size: (_, values) => 16 + Math.max(0, ...(values ?? []).map((label) => label.length)) * LABEL_WIDTH,
    },
  ];
}

/** Move the tooltip beside the cursor, inside the chart. */
function place(tooltip: HTMLElement, chart: uPlot): void {
  const left = chart.cursor.left ?? -1;
  const plot = chart.over.offsetLeft;
  const width = tooltip.offsetWidth;
  const isRight = left + width + 28 > chart.over.clientWidth;
  const x = isRight ? Math.max(left - width - 14, -plot) : left + 14;
  tooltip.style.transform = `translate(${Math.round(plot + x)}px, 8px)`;
}

function options(element: HTMLElement, properties: ChartProperties, onIndex: (index: number | null, chart: uPlot) => void): uPlot.Options {
  const { lines, times, zone, onZoom } = properties;
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [12, 12, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "time" },
      drag: { x: Boolean(onZoom), y: false, setScale: false },
      points: { size: 9, width: 2, stroke: (chart, index) => colorOf(element, lines[index - 1]?.color ?? "--text"), fill: colorOf(element, "--card") },
      y: false,
    },
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), zone),
    scales: { x: { time: true }, y: { range: valueRange } },
    axes: axes(element, properties),
    series: [{}, ...lines.map((line) => seriesOf(line, element, times.length))],
    hooks: {
      setCursor: [(chart) => onIndex(chart.cursor.idx ?? null, chart)],
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width >= LEAST_DRAG) {
            onZoom?.(chart.posToIdx(left), chart.posToIdx(left + width));
          }
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

export function Chart(properties: ChartProperties & { index: number | null; onIndex: (index: number | null) => void }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const tooltip = useRef<HTMLDivElement>(null);
  const { times, lines, summary, index, onIndex, tooltip: content } = properties;
  const painted = paints.value;
  useEffect(() => {
    const box = element.current!;
    let last: number | null = null;
    const follow = (nearest: number | null, chart: uPlot): void => {
      const hovered = (chart.cursor.left ?? -1) < 0 ? null : nearest;
      if (tooltip.current) {
        place(tooltip.current, chart);
      }
      if (hovered !== last) {
        last = hovered;
        onIndex(hovered);
        requestAnimationFrame(() => tooltip.current && place(tooltip.current, chart));
      }
    };
    const values = [times, ...lines.map((line) => line.values)] as uPlot.AlignedData;
    const chart = new uPlot(options(box, properties, follow), values, box);
    const observer = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: box.clientHeight }));
    observer.observe(box);
    return () => {
      observer.disconnect();
      chart.destroy();
      onIndex(null);
    };
  }, [times, lines, painted]);
  return (
    <div class="chart">
      <div class="plot" role="img" aria-label={summary} ref={element} />
      <div class="tooltip" ref={tooltip} hidden={index === null} aria-hidden="true">
        {index !== null && content(index)}
      </div>
    </div>
  );
}
