/** The charts that a team is made of, ready to be hosted. `version` rises when a stored snapshot of the chart would no longer fit. */
import { approverMachine } from '../actors/approver/machine.ts';
import { budgetMachine } from '../actors/budget/machine.ts';
import { convenerMachine } from '../actors/convener/machine.ts';
import { peerMachine } from '../actors/peer/machine.ts';
import { reviewerMachine } from '../actors/reviewer/machine.ts';
import { supervisorMachine } from '../actors/supervisor/machine.ts';
import { workerMachine } from '../actors/worker/machine.ts';
import { defineChart } from '../runtime/chart.ts';

export const charts = {
  supervisor: defineChart('supervisor', 3, supervisorMachine),
  worker: defineChart('worker', 3, workerMachine),
  reviewer: defineChart('reviewer', 3, reviewerMachine),
  peer: defineChart('peer', 1, peerMachine),
  convener: defineChart('convener', 1, convenerMachine),
  budget: defineChart('budget', 4, budgetMachine),
  approver: defineChart('approver', 1, approverMachine),
} as const;

/** Of each chart: a run goes on with those that it began with. */
export const chartVersions: Readonly<Record<string, number>> = Object.fromEntries(Object.values(charts).map(({ name, version }) => [name, version]));
