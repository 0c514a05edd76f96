/** The open questions of a run, and what answers them. Pure. */
import type { Decision } from '../../protocols/approval.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { Address } from '../../protocols/ids.ts';

export type Question = PayloadOf<'approval.request'> & { readonly from: Address; readonly deadline: number };
export type Questions = Readonly<Record<string, Question>>;

export type Answered = { readonly question: Question; readonly decision: Decision; readonly by: string; readonly note: string };

export const add = (open: Questions, question: Question): Questions => ({ ...open, [question.approval]: question });

export const without = (open: Questions, approvals: readonly string[]): Questions =>
  Object.fromEntries(Object.entries(open).filter(([approval]) => !approvals.includes(approval)));

/** Whether an answer still counts: nobody may have looked at the clock since the deadline passed. */
export const isOpenAt = (open: Questions, approval: string, at: number): boolean => Object.hasOwn(open, approval) && at < open[approval]!.deadline;

/** Those whose deadline has come, each with its default as the answer. */
export const overdue = (open: Questions, now: number): Answered[] =>
  Object.values(open)
    .filter(({ deadline }) => deadline <= now)
    .map((question) => ({ question, decision: question.otherwise, by: 'default', note: `nobody answered in ${question.timeoutMs} ms` }));

/** From `now` to the first deadline, milliseconds. */
export const untilDeadline = (open: Questions, now: number): number => {
  const first = Math.min(...Object.values(open).map(({ deadline }) => deadline));
  return Number.isFinite(first) ? Math.max(0, first - now) : 0;
};
