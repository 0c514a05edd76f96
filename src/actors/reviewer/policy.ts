/** How a reviewer judges: what it is shown, and what its verdict is worth. Pure. */
import { z } from 'zod';
import type { AgentProfile } from '../../protocols/agent.ts';
import type { PayloadOf } from '../../protocols/catalogue.ts';
import type { Citation, Verdict } from '../../protocols/formats.ts';
import type { ChatMessage } from '../../protocols/model.ts';
import type { ToolRecord, ToolRequest } from '../../protocols/tool.ts';
import { citationLines, sectionsMessage, systemMessage } from '../conversation.ts';

export type Work = PayloadOf<'review.request'>;

/** The tool that compares quotes with their sources, mechanically. */
export const EVIDENCE_TOOL = 'check_quotes';

const VERDICT_DUTY =
  'Check each claim against its source. Answer with JSON {"verdict": "accept" | "revise" | "reject", "reasons": [...], "confidence": 0..1}: ' +
  'accept what its sources carry, revise what can be put right and say how, reject what answers another question.';

export const evidenceRequest = (profile: AgentProfile, work: Work): ToolRequest => ({
  call: { id: 'evidence', name: EVIDENCE_TOOL, input: { citations: work.citations } },
  agent: profile.name,
});

export const looksForEvidence = (profile: AgentProfile, work: Work): boolean => profile.tools.includes(EVIDENCE_TOOL) && work.citations.length > 0;

const CheckedQuotes = z.array(z.object({ result: z.enum(['ok', 'moved', 'missing']), foundAt: z.number().int().positive().optional() }));

/** The citations as the comparison found them; `undefined` where there was none that says it. */
export const heldCitations = ({ citations }: Work, { ok, output }: ToolRecord): (Citation | null)[] | undefined => {
  const checked = CheckedQuotes.safeParse(output);
  if (!ok || !checked.success || checked.data.length !== citations.length) return undefined;
  return checked.data.map(({ result, foundAt }, index) => (result === 'missing' ? null : { ...citations[index]!, line: foundAt ?? citations[index]!.line }));
};

export const opening = (profile: AgentProfile, work: Work, evidence: ToolRecord | undefined): ChatMessage[] => [
  systemMessage(profile, [VERDICT_DUTY]),
  sectionsMessage([
    ['Question', work.goal],
    ['Task', work.instructions],
    ['Report to check', [work.text, ...(work.citations.length > 0 ? ['Sources:', citationLines(work.citations)] : [])].join('\n')],
    ['Evidence', evidence?.text ?? (work.citations.length === 0 ? 'The report cites nothing.' : undefined)],
  ]),
];

/** What a person is asked when the reviewer is not sure enough. */
export const question = (work: Work, verdict: Verdict): string =>
  `Step ${work.step}: the reviewer says "${verdict.verdict}" with a confidence of ${verdict.confidence.toFixed(2)}. Is the work good enough?`;
