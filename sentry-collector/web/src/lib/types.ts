// What the API answers: the types of its description, and the parts of OCSF that are shown here.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Run = Schemas["CollectedRun"];
export type Agent = Schemas["AgentSummary"];
export type Sensor = Schemas["Sensor"];
export type Gap = Schemas["Gap"];
export type Decision = Schemas["CollectedDecision"];
export type Outcome = Schemas["CollectedOutcome"];
export type Command = Schemas["Command"];
export type RunActivity = Schemas["RunActivity"];
export type Activity = Schemas["Activity"];
export type Key = Schemas["Key"];
export type MadeKey = Schemas["MadeKey"];
export type NewKey = Schemas["NewKey"];
export type ProcessRow = Schemas["ProcessRow"];
export type TriageAct = Schemas["TriageAct"];
export type Suppression = Schemas["Suppression"];
export type FindingState = "open" | "acknowledged" | "resolved" | "suppressed";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export type Session = Schemas["BrowserSession"];

interface AiAgent {
  uid?: string;
  name?: string;
  instance_uid?: string;
}

export interface Term {
  name: string;
  value: number | string;
  unit: string;
  limit?: number | string;
}

/** OCSF Detection Finding, class 2004. */
export interface Finding {
  metadata: { uid: string };
  time: number;
  start_time: number;
  message: string;
  severity: string;
  severity_id: number;
  confidence_score?: number;
  finding_info: { title: string; attacks?: { technique: { uid: string }; sub_technique?: { uid: string } }[] };
  evidences: { uid: string }[];
  ai_agent?: AiAgent;
  device?: { hostname?: string };
  unmapped: { rule: string; arithmetic: Term[]; complete: boolean; tags: string[]; sensor: string; triage: Made };
}

/** What people made of a finding. */
interface Made {
  state: FindingState;
  assignee: string | null;
  changed_ms: number | null;
  suppression: number | null;
}

/** A finding, and what people did with it, oldest first. */
export interface Triaged {
  finding: Finding;
  history: TriageAct[];
}

interface OcsfFile {
  path?: string;
  name?: string;
}

interface OcsfProcess {
  pid?: number;
  name?: string;
  cmd_line?: string;
  file?: OcsfFile;
  working_directory?: string;
}

interface OcsfEndpoint {
  ip?: string;
  port?: number;
  hostname?: string;
}

/** An OCSF event: what is shown of any class. */
export interface OcsfEvent {
  metadata: { uid: string; sequence?: number };
  class_uid: number;
  class_name: string;
  activity_name: string;
  type_name: string;
  time: number;
  status?: string;
  exit_code?: number;
  message?: string;
  actor?: { process?: OcsfProcess };
  process?: OcsfProcess;
  file?: OcsfFile;
  file_result?: OcsfFile;
  dst_endpoint?: OcsfEndpoint;
  src_endpoint?: OcsfEndpoint;
  connection_info?: { protocol_name?: string };
  query?: { hostname?: string; type?: string };
  answers?: { rdata?: string }[];
  tls?: { sni?: string };
  kernel?: { path?: string; name?: string };
  ai_agent?: AiAgent;
  device?: { hostname?: string };
  unmapped: Record<string, unknown> & { act?: string };
}
