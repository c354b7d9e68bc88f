// The state of the fleet: read once from the listings, then kept up by the live stream. The stream
// is opened first and the listings are read when it is ready, so that nothing falls in between.
import { SvelteMap } from "svelte/reactivity";
import { all, list } from "./api";
import type { Decision, Finding, Outcome, Run, Sensor } from "./types";

/** Most of each kind that this page holds: the newest ones. */
const MOST = 2000;
/** Runs and sensors say nothing of their own accord when a sensor falls silent: ask again. */
const SENSORS_EVERY_MS = 15_000;

export type Link = "connecting" | "live" | "lost";

class Live {
  link = $state<Link>("connecting");
  loaded = $state(false);
  trouble = $state("");
  runs = new SvelteMap<string, Run>();
  sensors = new SvelteMap<string, Sensor>();
  /** Newest first. */
  findings = $state.raw<Finding[]>([]);
  decisions = $state.raw<Decision[]>([]);
  outcomes = $state.raw<Outcome[]>([]);
  connected = $state.raw<ReadonlySet<string>>(new Set());
  /** Ids of what came by the stream since the page was opened. */
  fresh = new SvelteMap<string, number>();

  #source: EventSource | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #queue: (() => void)[] = [];

  start(): void {
    if (this.#source) return;
    this.#open();
    this.#timer = setInterval(() => void this.#readSensors(), SENSORS_EVERY_MS);
  }

  stop(): void {
    this.#source?.close();
    this.#source = null;
    clearInterval(this.#timer);
    this.loaded = false;
    this.runs.clear();
    this.sensors.clear();
    this.findings = [];
    this.decisions = [];
    this.outcomes = [];
  }

  #open(): void {
    const source = new EventSource("/api/v1/live");
    this.#source = source;
    source.addEventListener("open", () => (this.link = "live"));
    source.addEventListener("error", () => {
      this.link = "lost";
      // The browser comes again by itself, with the id of the last event, unless it was refused.
      if (source.readyState === EventSource.CLOSED && this.#source === source) {
        setTimeout(() => this.#source === source && this.#open(), 3000);
      }
    });
    source.addEventListener("ready", () => void this.#read());
    source.addEventListener("reset", () => void this.#read());
    source.addEventListener("sensors", (event) => {
      this.connected = new Set((JSON.parse(event.data) as { connected: string[] }).connected);
      void this.#readSensors();
    });
    this.#on<Run>(source, "run", (run) => this.#putRun(run));
    this.#on<Finding>(source, "finding", (finding) => {
      this.fresh.set(finding.metadata.uid, Date.now());
      this.findings = put(this.findings, finding, (other) => other.metadata.uid);
    });
    this.#on<Decision>(source, "decision", (decision) => {
      this.decisions = put(this.decisions, decision, (other) => other.id);
    });
    this.#on<Outcome>(source, "outcome", (outcome) => {
      this.outcomes = put(this.outcomes, outcome, (other) => `${other.decision} ${other.time_unix_ns}`);
    });
  }

  /** Many events of one moment change the page once. */
  #on<T>(source: EventSource, name: string, take: (item: T) => void): void {
    source.addEventListener(name, (event: MessageEvent<string>) => {
      const item = JSON.parse(event.data) as T;
      this.#queue.push(() => take(item));
      if (this.#queue.length > 1) return;
      setTimeout(() => {
        for (const change of this.#queue.splice(0)) change();
      }, 50);
    });
  }

  async #read(): Promise<void> {
    try {
      const [runs, findings, decisions, outcomes] = await Promise.all([
        all<Run>("runs", {}, MOST / 2),
        all<Finding>("findings", {}, MOST / 4),
        list<Decision>("decisions", { limit: 500 }),
        list<Outcome>("outcomes", { limit: 500 }),
        this.#readSensors(),
      ]);
      // Oldest first, so that newer items of the stream that came meanwhile are not put back.
      for (const run of runs.items) if (!newer(this.runs.get(run.id), run)) this.#putRun(run);
      this.findings = merge(this.findings, findings.items, (item) => item.metadata.uid);
      this.decisions = merge(this.decisions, decisions.items, (item) => item.id);
      this.outcomes = merge(this.outcomes, outcomes.items, (item) => `${item.decision} ${item.time_unix_ns}`);
      this.trouble = "";
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error);
      setTimeout(() => this.#source && void this.#read(), 3000);
    }
    this.loaded = true;
  }

  async #readSensors(): Promise<void> {
    const page = await list<Sensor>("sensors", { limit: 1000 }).catch(() => null);
    for (const sensor of page?.items ?? []) this.sensors.set(sensor.id, sensor);
  }

  #putRun(run: Run): void {
    this.runs.set(run.id, run);
  }
}

function newer(known: Run | undefined, run: Run): boolean {
  return known !== undefined && known.updated_ms > run.updated_ms;
}

function put<T>(items: T[], item: T, id: (item: T) => string): T[] {
  const own = id(item);
  return [item, ...items.filter((other) => id(other) !== own)].slice(0, MOST);
}

/** Both lists are newest first; `fresh` came by the stream. */
function merge<T>(fresh: T[], read: T[], id: (item: T) => string): T[] {
  const known = new Set(fresh.map(id));
  return [...fresh, ...read.filter((item) => !known.has(id(item)))].slice(0, MOST);
}

export const live = new Live();
