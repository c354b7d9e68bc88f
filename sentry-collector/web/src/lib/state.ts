// What state a run is shown in. A state is a claim of its sensor: when the sensor is away, the
// state is that nobody knows.
import type { Run, Sensor } from "./types";

export type Shown = "running" | "frozen" | "ended" | "silent" | "unknown";

export function shown(run: Run, connected: ReadonlySet<string>): Shown {
  if (run.state === "ended") return "ended";
  if (!connected.has(run.sensor)) return "silent";
  return run.state === "running" || run.state === "frozen" ? run.state : "unknown";
}

/** When something last proved that the state holds. */
export function provenMs(run: Run, sensor: Sensor | undefined): number {
  return Math.max(run.updated_ms, run.state === "ended" ? 0 : (sensor?.last_seen_ms ?? 0));
}

const ORDER: Record<Shown, number> = { frozen: 0, silent: 1, running: 2, unknown: 3, ended: 4 };

/** What needs a look comes first, then the newest. */
export function byNeed(connected: ReadonlySet<string>, findings: (run: Run) => number): (a: Run, b: Run) => number {
  return (a, b) => {
    const order = ORDER[shown(a, connected)] - ORDER[shown(b, connected)];
    return order || findings(b) - findings(a) || b.started_ms - a.started_ms;
  };
}

/** Id of the run that a finding or event names in its own id. */
export function runOf(id: string): string {
  return id.replace(/-[a-z]+-\d+$/, "");
}

export const SEVERITIES = ["critical", "high", "medium", "low", "informational"] as const;
