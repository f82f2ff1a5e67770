import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import type { Line } from "../src/state/line";
import { Banners } from "../src/views/Banners";
import type { StatusFrame } from "../src/wire/types";

type Job = NonNullable<StatusFrame["jobs"]>[number];
type Query = NonNullable<StatusFrame["queries"]>[number];

const query = (name: string, more: Partial<Query> = {}): Query => ({
  kind: "metric",
  name,
  state: "running",
  why: "",
  ...more,
});
const failed = (name: string, why: string, kind: Query["kind"] = "metric") =>
  query(name, { kind, state: "failed", why });

const shown = (line: Line, ...queries: Query[]) =>
  renderToStaticMarkup(createElement(Banners, { line, jobs: [], queries, now: 100_000, retry: () => {} }));
const withJobs = (line: Line, ...jobs: Job[]) =>
  renderToStaticMarkup(createElement(Banners, { line, jobs, queries: [], now: 100_000, retry: () => {} }));
const banners = (html: string) => [...html.matchAll(/data-banner="([^"]+)"/g)].map((found) => found[1]);
const text = (html: string) => html.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ");

describe("the banner", () => {
  it("is not there while all is well", () => {
    expect(shown({ kind: "live" })).toBe("");
    expect(shown({ kind: "live" }, query("power"), query("mean", { state: "starting" }))).toBe("");
  });

  it("says which query has stopped, of what kind, and why", () => {
    const html = shown({ kind: "live" }, query("mean"), failed("power", "/ by zero"));
    expect(banners(html)).toEqual(["failed-queries"]);
    expect(text(html)).toContain("A metric has stopped. power: / by zero. Everything else goes on");
    expect(html).toContain('<strong role="alert">A metric has stopped.</strong>');
    expect(text(shown({ kind: "live" }, failed("stall", "x", "pattern")))).toContain(
      "A pattern has stopped.",
    );
  });

  it("names all of them, with the reason of the first", () => {
    const html = text(
      shown({ kind: "live" }, failed("power", "/ by zero"), failed("stall", "no", "pattern")),
    );
    expect(html).toContain("Queries have stopped. power, stall: / by zero.");
  });

  it("shows failed queries also while something is wrong with the line, and the line first", () => {
    const lines: Line[] = [
      { kind: "stalled", since: 80_000 },
      { kind: "silent", since: 80_000 },
      { kind: "catching-up" },
      { kind: "disconnected", retryInS: 4, shownFrom: 90_000 },
    ];
    for (const line of lines) {
      const html = shown(line, failed("power", "/ by zero"));
      expect(banners(html)).toEqual([line.kind, "failed-queries"]);
      expect(text(html)).toContain("/ by zero");
      expect(banners(shown(line))).toEqual([line.kind]);
    }
  });

  it("says which job does not run, why, and what that means, beside what is wrong with the line", () => {
    const running: Job = { name: "aggregation", state: "running", why: "" };
    const failing: Job = { name: "alerting", state: "failing", why: "no topic" };
    const html = withJobs({ kind: "live" }, running, failing);
    expect(banners(html)).toEqual(["failing-jobs"]);
    expect(text(html)).toContain("A job does not run. alerting: no topic. No rule is judged meanwhile.");
    expect(banners(withJobs({ kind: "stalled", since: 80_000 }, failing))).toEqual([
      "stalled",
      "failing-jobs",
    ]);
    expect(banners(withJobs({ kind: "live" }, running, { ...failing, state: "starting" }))).toEqual([]);
    expect(banners(withJobs({ kind: "live" }, { ...failing, state: "stopped" }))).toEqual([]);
    expect(text(withJobs({ kind: "live" }, { ...running, state: "failing", why: "x" }))).not.toContain(
      "rule",
    );
  });

  it("says for how long the log has stood still, by the server's clock", () => {
    expect(text(shown({ kind: "stalled", since: 80_000 }))).toContain("The log has stood still for 20 s");
  });

  it("has a button only where there is something to wait for", () => {
    expect(shown({ kind: "disconnected", retryInS: 4, shownFrom: null })).toContain("Try now");
    expect(shown({ kind: "disconnected", retryInS: null, shownFrom: null })).not.toContain("Try now");
  });
});
