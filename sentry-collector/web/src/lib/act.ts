// An event in a line: who, what, with which object.
import type { OcsfEvent } from "./types";

export type Lane = "programs" | "files" | "network" | "other";
export const LANES: readonly Lane[] = ["programs", "files", "network", "other"];

export const CLASSES: readonly (readonly [number, string])[] = [
  [1007, "Processes"],
  [1001, "Files"],
  [4001, "Network"],
  [4003, "DNS"],
  [1003, "Kernel"],
  [1004, "Memory"],
];

export function lane(event: OcsfEvent): Lane {
  switch (event.class_uid) {
    case 1007:
      return "programs";
    case 1001:
      return "files";
    case 4001:
    case 4003:
      return "network";
    default:
      return "other";
  }
}

export function verb(event: OcsfEvent): string {
  const act = event.unmapped.act ?? "";
  return act === "" ? event.activity_name.toLowerCase() : act.replaceAll("_", " ");
}

export function object(event: OcsfEvent): string {
  const act = event.unmapped.act;
  if (event.class_uid === 1007) {
    const process = event.process;
    if (act === "exit") {
      const signal = event.unmapped["signal"];
      const how = typeof signal === "number" ? `signal ${signal}` : `code ${event.exit_code ?? "unknown"}`;
      return `${process?.name ?? `pid ${process?.pid ?? "?"}`} with ${how}`;
    }
    return process?.cmd_line ?? process?.file?.path ?? `pid ${process?.pid ?? "?"}`;
  }
  if (event.class_uid === 4003) {
    const answers = event.answers?.map((answer) => answer.rdata ?? "").join(", ");
    return [event.query?.hostname, answers].filter(Boolean).join(" → ");
  }
  const place = endpoint(event);
  if (event.file?.path !== undefined) {
    return event.file_result?.path === undefined ? event.file.path : `${event.file.path} → ${event.file_result.path}`;
  }
  return place || event.kernel?.path || event.kernel?.name || event.message || "";
}

export function endpoint(event: OcsfEvent): string {
  const { ip, port, hostname } = event.dst_endpoint ?? {};
  const host = hostname ?? ip;
  if (host === undefined) return event.tls?.sni ?? "";
  const name = host.includes(":") ? `[${host}]` : host;
  return port === undefined ? name : `${name}:${port}`;
}

export function actor(event: OcsfEvent): string {
  const process = event.actor?.process;
  const name = process?.name ?? process?.file?.name;
  return name ?? `pid ${process?.pid ?? "?"}`;
}

export const pid = (event: OcsfEvent): number | undefined => event.actor?.process?.pid;

/** Equal lines that follow each other, folded with their number. */
export function fold(events: OcsfEvent[]): { event: OcsfEvent; times: number; last: OcsfEvent }[] {
  const rows: { event: OcsfEvent; times: number; last: OcsfEvent }[] = [];
  const key = (event: OcsfEvent) => `${event.class_uid} ${verb(event)} ${actor(event)} ${object(event)}`;
  for (const event of events) {
    const row = rows.at(-1);
    if (row && key(row.event) === key(event)) {
      row.times += 1;
      row.last = event;
    } else {
      rows.push({ event, times: 1, last: event });
    }
  }
  return rows;
}
