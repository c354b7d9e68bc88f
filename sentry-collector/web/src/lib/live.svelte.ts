// The state of the fleet: read once from the listings, then kept up by the live stream. The stream
// is opened first and the listings are read when it is ready, so that nothing falls in between.
// Who may read one agent only gets no stream: the listings are read again and again.
import { SvelteMap } from "svelte/reactivity";
import { all, list } from "./api";
import { join } from "./join";
import { session } from "./session.svelte";
import { stateOf } from "./triage";
import type { Decision, Finding, Outcome, Run, Sensor } from "./types";

/** Most of each kind that this page holds: the newest ones. */
const MOST = 2000;
/** Runs and sensors say nothing of their own accord when a sensor falls silent: ask again. */
const AGAIN_MS = 15_000;

export type Link = "connecting" | "live" | "polled" | "lost";

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
  /** Ids of findings that came by the stream and that nobody has looked at. */
  fresh = new SvelteMap<string, number>();

  #source: EventSource | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #queue: (() => void)[] = [];

  start(): void {
    if (this.#timer !== undefined) return;
    const follows = session.mayFollow;
    this.#timer = setInterval(() => void (follows ? this.#readSensors() : this.#read()), AGAIN_MS);
    if (follows) this.#open();
    else void this.#read();
  }

  stop(): void {
    this.#source?.close();
    this.#source = null;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#queue = [];
    this.link = "connecting";
    this.loaded = false;
    this.trouble = "";
    this.runs.clear();
    this.sensors.clear();
    this.findings = [];
    this.decisions = [];
    this.outcomes = [];
    this.connected = new Set();
    this.fresh.clear();
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
      const id = finding.metadata.uid;
      const known = this.findings.some((other) => other.metadata.uid === id);
      // One that comes again was changed by somebody.
      if (!known && stateOf(finding) === "open") this.fresh.set(id, Date.now());
      for (const oldest of this.fresh.keys()) {
        if (this.fresh.size <= MOST) break;
        this.fresh.delete(oldest);
      }
      this.putFinding(finding);
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
    const timer = this.#timer;
    const follows = this.#source !== null;
    try {
      const [runs, findings, open, decisions, outcomes] = await Promise.all([
        all<Run>("runs", {}, MOST / 2),
        all<Finding>("findings", {}, MOST / 4),
        all<Finding>("findings", { state: "open" }, MOST / 4),
        list<Decision>("decisions", { limit: 500 }),
        list<Outcome>("outcomes", { limit: 500 }),
        follows ? this.#readSensors() : undefined,
      ]);
      // Somebody else may be logged in by now.
      if (this.#timer !== timer) return;
      // Newer states of the stream that came meanwhile are not put back.
      for (const run of runs.items.toReversed()) if (!newer(this.runs.get(run.id), run)) this.#putRun(run);
      const [known, decided, ended] = follows ? [this.findings, this.decisions, this.outcomes] : [[], [], []];
      // Open ones may be older than those that are newest.
      const read = join(findings.items, open.items, (item) => item.metadata.uid);
      this.findings = join(known, read, (item) => item.metadata.uid).slice(0, MOST);
      this.decisions = join(decided, decisions.items, (item) => item.id).slice(0, MOST);
      this.outcomes = join(ended, outcomes.items, (item) => `${item.decision} ${item.time_unix_ns}`).slice(0, MOST);
      if (!follows) {
        this.connected = new Set(runs.items.filter((run) => run.sensor_connected).map((run) => run.sensor));
        this.link = "polled";
      }
      this.trouble = "";
    } catch (error) {
      if (this.#timer !== timer) return;
      this.trouble = error instanceof Error ? error.message : String(error);
      if (follows) setTimeout(() => this.#timer === timer && void this.#read(), 3000);
      else this.link = "lost";
    }
    this.loaded = true;
  }

  /** A newer state of a finding, in its place. */
  putFinding(finding: Finding): void {
    const id = finding.metadata.uid;
    if (stateOf(finding) !== "open") this.fresh.delete(id);
    const known = this.findings.some((other) => other.metadata.uid === id);
    this.findings = known
      ? this.findings.map((other) => (other.metadata.uid === id ? finding : other))
      : [finding, ...this.findings].slice(0, MOST);
  }

  async #readSensors(): Promise<void> {
    const page = await list<Sensor>("sensors", { limit: 1000 }).catch(() => null);
    for (const sensor of page?.items ?? []) this.sensors.set(sensor.id, sensor);
  }

  /** The newest states are last. Beyond `MOST` the oldest goes, of the runs that have ended if there are any. */
  #putRun(run: Run): void {
    this.runs.delete(run.id);
    this.runs.set(run.id, run);
    if (this.runs.size <= MOST) return;
    const runs = [...this.runs.values()];
    const oldest = runs.find((run) => run.state === "ended") ?? runs[0];
    if (oldest) this.runs.delete(oldest.id);
  }
}

function newer(known: Run | undefined, run: Run): boolean {
  return known !== undefined && known.updated_ms > run.updated_ms;
}

function put<T>(items: T[], item: T, id: (item: T) => string): T[] {
  const own = id(item);
  return [item, ...items.filter((other) => id(other) !== own)].slice(0, MOST);
}

export const live = new Live();
