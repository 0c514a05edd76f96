/** Talking with peers: an offer by what it is good at, objections by what sources carry, a vote for what carries most, an edit that loses nothing. */
import type { Ballot, Bid, Critique, Edit, Verdict } from '../../../protocols/formats.ts';
import { contentTerms } from '../../tool/words.ts';
import { overlap, reportOf } from './answer.ts';
import { subQuestions } from './query.ts';
import type { Brief, Told } from './sections.ts';
import { synthesise } from './synthesis.ts';
import { verdictOn } from './verdict.ts';

/** A guess at what one question costs to look up, in dollars. */
const PRICE_OF_A_QUESTION = 0.0005;
/** Whoever knows nothing of the subject may still look it up. */
const CONFIDENCE_MIN = 0.2;
const round = (value: number): number => Math.round(value * 100) / 100;

export const bidFor = ({ question, persona }: Brief): Bid => {
  const fit = overlap(contentTerms(question), new Set(contentTerms(persona)));
  return {
    price: PRICE_OF_A_QUESTION * Math.max(1, subQuestions(question).length),
    confidence: round(CONFIDENCE_MIN + (1 - CONFIDENCE_MIN) * fit),
    approach: 'I look for it in the documents, and quote what stands there.',
  };
};

const judged = (brief: Brief, position: Told): Verdict => verdictOn({ ...brief, report: position });

const OBJECTIONS_MAX = 3;

export const critiqueOf = (brief: Brief): Critique => ({
  objections: brief.positions.flatMap((position) => {
    const { verdict, reasons } = judged(brief, position);
    return verdict === 'accept' ? [] : reasons.slice(0, OBJECTIONS_MAX).map((text) => ({ agent: position.agent, text }));
  }),
});

/** For the position that holds best, then the one that says most of what is asked; equals by their order. */
export const ballotOn = (brief: Brief): Ballot => {
  const asked = contentTerms(brief.question);
  const scored = brief.positions.map((position) => {
    const { verdict, confidence } = judged(brief, position);
    const covered = overlap(asked, new Set(contentTerms(`${position.text} ${position.citations.map(({ quote }) => quote).join(' ')}`)));
    return { position, covered, score: (verdict === 'accept' ? 1 + confidence : 0) + covered };
  });
  const { position, covered } = scored.reduce((best, one) => (one.score > best.score ? one : best));
  return { choice: position.agent, reason: `${position.citations.length} sources, and ${Math.round(covered * 100)} % of the words of the question` };
};

/** Its own edit goes into the document as far as the document does not say the same; a document that says it all is accepted. */
export const editOf = ({ question, ownEdit }: Brief, document: Told): Edit => {
  const accept: Edit = { accept: true, text: '', citations: [] };
  if (!ownEdit) return accept;
  const said = (told: Told) => synthesise({ question, findings: [{ step: 'document', agent: 'peer', ...told }] }).statements.length;
  const together = synthesise({ question, findings: [document, ownEdit].map((told) => ({ step: 'document', agent: 'peer', ...told })) });
  if (together.statements.length <= said(document)) return accept;
  return { accept: false, ...reportOf({ statements: together.statements, missing: [] }) };
};
