import { useLayoutEffect, useMemo, useState } from "react";
import { between, type Layout, type Line, layOut } from "../state/fleet-layout";
import { FACETS, type Facet, type Group } from "../state/fleet-list";
import { useAlertBook, useRoster, useWidth } from "../state/hooks";
import { inOrder } from "../state/metrics";
import { fleetPath } from "../state/router";
import { alerts } from "../state/session";
import { worstOf } from "../wire/alerts";
import { FleetRow } from "./FleetRow";
import { Link } from "./Link";
import { Standings } from "./Severity";

/** Lines beyond the window that are kept, in px: a flick of the wheel must not show nothing. */
const OVERSCAN = 360;
const HEAD_HEIGHT = 40;

interface Shape {
  compact: boolean;
  /** How many metrics a row has room for. */
  cells: number;
  height: number;
  /** Whether site, model and tags have a column of their own. */
  facts: boolean;
}

/** A row on a wide screen is a line; on a phone it is a card of two by two. */
function shapeOf(width: number, facts: boolean): Shape {
  if (width < 640) return { compact: true, cells: 4, height: 146, facts: false };
  const column = facts && width >= 1_080;
  const room = column ? width - 180 : width;
  return { compact: false, cells: room >= 1_160 ? 4 : room >= 880 ? 3 : 2, height: 60, facts: column };
}

/** Only rows within the window (and a few around it) exist: 2,000 devices cost what 20 do. */
export function FleetList({ groups, by }: { groups: Group[]; by: Facet | null }) {
  const [box, width] = useWidth<HTMLUListElement>();
  useRoster();
  useAlertBook();
  const facts = groups.some(({ devices }) => devices.some((d) => d.site || d.model || d.tags.length));
  const shape = shapeOf(width, facts);
  const layout = useMemo(
    () => layOut(groups, shape.height, by ? HEAD_HEIGHT : 0),
    [groups, shape.height, by],
  );
  const [from, to] = useVisible(box, layout);
  const shown = width ? layout.lines.slice(from, to) : [];
  return (
    <div className={`list ${shape.compact ? "compact" : ""} ${shape.facts ? "with-facts" : ""}`}>
      {!shape.compact && (
        <div className="list-head" aria-hidden="true">
          <span>Device</span>
          {shape.facts && <span>Site, model, tags</span>}
          <span>Readings, last two minutes</span>
          <span>Last</span>
        </div>
      )}
      <ul
        ref={box}
        className="rows"
        aria-label="Devices"
        style={{ height: layout.height }}
        onKeyDown={moveFocus}
      >
        {shown.map((line) =>
          line.kind === "head" ? (
            <Head key={line.key} line={line} by={by ?? "site"} />
          ) : (
            <Slot key={line.key} line={line} of={layout.devices} shape={shape} />
          ),
        )}
      </ul>
    </div>
  );
}

const at = ({ top, height }: Line) => ({ height, transform: `translateY(${top}px)` });

function Head({ line, by }: { line: Line; by: Facet }) {
  const { name, devices } = line.group;
  return (
    <li className="group-slot" style={at(line)} data-group={name}>
      <h2>{name ? <Named by={by} name={name} /> : `No ${FACETS[by].toLowerCase()}`}</h2>
      <span>
        {devices.length} {devices.length === 1 ? "device" : "devices"}
      </span>
      <Standings {...worstOf(devices.map((device) => alerts.of(device.name)))} />
    </li>
  );
}

/** Sites and models have a page of their own. */
function Named({ by, name }: { by: Facet; name: string }) {
  return by === "site" || by === "model" ? <Link to={fleetPath(by, name)}>{name}</Link> : name;
}

function Slot({ line, of, shape }: { line: Line & { kind: "device" }; of: number; shape: Shape }) {
  const device = line.group.devices[line.index];
  if (!device) return null;
  const { n, worst } = alerts.of(device.name);
  return (
    <li aria-setsize={of} aria-posinset={line.place} className="row-slot" style={at(line)}>
      <FleetRow
        device={device}
        metrics={inOrder(device.series.keys()).join("\n")}
        kind={device.kind}
        site={device.site}
        model={device.model}
        tags={device.tags.join(", ")}
        named={device.named}
        facts={shape.facts}
        connection={device.connection}
        cells={shape.cells}
        alerts={n}
        worst={worst}
      />
    </li>
  );
}

function useVisible(box: React.RefObject<HTMLElement | null>, layout: Layout): [from: number, to: number] {
  const [span, setSpan] = useState<[number, number]>([0, 24]);
  useLayoutEffect(() => {
    const look = () => {
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const [from, to] = between(layout, -top - OVERSCAN, window.innerHeight - top + OVERSCAN);
      setSpan((now) => (now[0] === from && now[1] === to ? now : [from, to]));
    };
    look();
    window.addEventListener("scroll", look, { passive: true });
    window.addEventListener("resize", look);
    return () => {
      window.removeEventListener("scroll", look);
      window.removeEventListener("resize", look);
    };
  }, [box, layout]);
  return span;
}

/** Up and down go from device to device. */
function moveFocus(event: React.KeyboardEvent<HTMLUListElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const links = [...event.currentTarget.querySelectorAll<HTMLAnchorElement>("a.device-row")];
  const next = links[links.indexOf(document.activeElement as HTMLAnchorElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
