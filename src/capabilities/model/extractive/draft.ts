/** What is to be said to a request, in as many sizes as it can be said in. */
import type { ModelRequest, ToolCall } from '../../../protocols/model.ts';
import { leftOutIn } from '../../tool/left-out.ts';
import { answer, proseOf, reportOf, type Answer } from './answer.ts';
import { revisionOf, routeOf } from './leading.ts';
import { observationsOf } from './observations.ts';
import { ballotOn, bidFor, critiqueOf, editOf } from './peers.ts';
import { planOf } from './planning.ts';
import { focusOf } from './query.ts';
import { nextCalls } from './research.ts';
import { briefOf, type Brief } from './sections.ts';
import { synthesise } from './synthesis.ts';
import { unitsOf } from './units.ts';
import { verdictOn } from './verdict.ts';

export type Draft = {
  readonly largest: number;
  readonly smallest: number;
  at(size: number): { readonly text: string; readonly toolCalls: readonly ToolCall[] };
};

export const draftFor = (request: ModelRequest): Draft => {
  const brief = briefOf(request);
  if (request.format === 'plan' && brief.agents.length > 0) return planDraft(brief);
  if (request.format === 'route') return whole(routeOf(brief));
  if (request.format === 'revision') return whole(revisionOf(brief));
  if (request.format === 'verdict' && brief.report) return verdictDraft(brief);
  if (request.format === 'bid') return whole(bidFor(brief));
  if (request.format === 'critique') return critiqueDraft(brief);
  if (request.format === 'ballot' && brief.positions.length > 0) return whole(ballotOn(brief));
  if (request.format === 'edit' && brief.document) return whole(editOf(brief, brief.document));
  return answerDraft(request, brief);
};

const said = (value: unknown): { text: string; toolCalls: readonly ToolCall[] } => ({
  text: typeof value === 'string' ? value : JSON.stringify(value),
  toolCalls: [],
});

/** What can be said in one size only. */
const whole = (value: unknown): Draft => ({ largest: 1, smallest: 1, at: () => said(value) });

const critiqueDraft = (brief: Brief): Draft => {
  const { objections } = critiqueOf(brief);
  return { largest: objections.length, smallest: 0, at: (size) => said({ objections: objections.slice(0, size) }) };
};

const planDraft = (brief: Brief): Draft => ({ largest: Math.min(brief.maxSteps, 4), smallest: 1, at: (size) => said(planOf({ ...brief, maxSteps: size })) });

const verdictDraft = (brief: Brief): Draft => {
  const verdict = verdictOn(brief);
  const smallest = verdict.reasons.length > 0 ? 1 : 0;
  return { largest: verdict.reasons.length, smallest, at: (size) => said({ ...verdict, reasons: verdict.reasons.slice(0, size) }) };
};

/** A task that is about the findings, and not about something of its own. */
const PUTS_TOGETHER = /\b(?:put together|combin|synthesi[sz]|summari[sz]|compar|merge|conclu|draft|writ|edit|compos|findings|answer the question)/i;

const together = (brief: Brief, found: Answer): Answer => {
  const own = { step: 'own', agent: 'own', ...reportOf({ statements: found.statements, missing: [] }) };
  const question = brief.question === '' ? brief.task : brief.question;
  return synthesise({ question, findings: found.statements.length > 0 ? [...brief.findings, own] : brief.findings });
};

const answerDraft = (request: ModelRequest, brief: Brief): Draft => {
  const queries = focusOf(brief);
  const seen = observationsOf(request.messages);
  const units = unitsOf(seen.excerpts);
  const read = answer(queries, units);
  const calls = nextCalls(request, queries, seen, read);
  if (calls.length > 0) return { largest: calls.length, smallest: 1, at: (size) => ({ text: '', toolCalls: calls.slice(0, size) }) };
  const found = brief.objections.length === 0 ? read : answer(queries, units, brief.objections);
  const given = brief.findings.length > 0 && (PUTS_TOGETHER.test(brief.task) || found.statements.length === 0) ? together(brief, found) : found;
  const smallest = given.statements.length > 0 ? 1 : 0;
  const unread = [...new Set([...seen.unread, ...brief.findings.flatMap(({ text }) => leftOutIn(text))])];
  const write = (size: number): unknown => (request.format === undefined ? proseOf : reportOf)({ ...given, unread }, size);
  // A first answer that was cut or malformed is given shorter.
  const largest = brief.corrections > 0 ? Math.max(smallest, Math.ceil(given.statements.length / 2)) : given.statements.length;
  return { largest, smallest, at: (size) => said(write(size)) };
};
