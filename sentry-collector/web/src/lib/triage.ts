// What people do with findings.
import { request } from "./api";
import type { Finding, FindingState, Triaged } from "./types";

export const STATES: readonly FindingState[] = ["open", "acknowledged", "resolved", "suppressed"];

export type Act = "acknowledge" | "resolve" | "reopen" | "assign" | "comment";

/** What an act is called once it is done. */
export const DONE: Record<Act, string> = {
  acknowledge: "acknowledged",
  resolve: "resolved",
  reopen: "reopened",
  assign: "assigned",
  comment: "commented",
};

export interface Words {
  comment?: string;
  assignee?: string | null;
}

export const stateOf = (finding: Finding): FindingState => finding.unmapped.triage.state;

function pathOf(sensor: string, run: string, id: string): string {
  return `/api/v1/findings/${[sensor, run, id].map(encodeURIComponent).join("/")}`;
}

const path = (finding: Finding): string => pathOf(finding.unmapped.sensor, finding.ai_agent?.instance_uid ?? "", finding.metadata.uid);

/** The finding with what people did with it. */
export const read = (finding: Finding): Promise<Triaged> => request<Triaged>("GET", path(finding));

export const act = (finding: Finding, act: Act, words: Words = {}): Promise<Triaged> =>
  request<Triaged>("POST", `${path(finding)}/${act}`, words);

/** Hides what this rule finds of this agent, for so long. */
export const suppress = (finding: Finding, forMs: number, why: string): Promise<{ id: number }> =>
  request("POST", "/api/v1/suppressions", {
    rule: finding.unmapped.rule,
    agent: finding.ai_agent?.uid ?? "",
    until_ms: Date.now() + forMs,
    why,
  });

export const endSuppression = (id: number): Promise<void> => request("DELETE", `/api/v1/suppressions/${id}`);
