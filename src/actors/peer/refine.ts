/**
 * Shared refinement: all peers edit one document, each on its own copy and at the same time. An edit names the version that it
 * was made on. Of several edits of one version one counts, by an order that turns with the rounds; the others conflict with it,
 * and whoever made one makes it again on the new version. The peers have agreed once everybody accepts the version that stands.
 */
import { failure } from '../../protocols/failure.ts';
import type { ChatMessage } from '../../protocols/model.ts';
import { citationLines, readReply, sectionsMessage, systemMessage } from '../conversation.ts';
import {
  count,
  gather,
  meOf,
  noConclusion,
  othersOf,
  passed,
  said,
  sayToAll,
  type Minute,
  type Move,
  type Protocol,
  type RulesOf,
  type Table,
} from './table.ts';

type Edit = Minute<'document.edit'>;

/** What is there before the first edit. */
const EMPTY = '0';
const editIn = (round: number): string => `edit-${round}`;
const roundOf = (phase: string): number => Number(phase.slice(phase.lastIndexOf('-') + 1));

const EDIT_DUTY =
  'You and your peers write one document that answers the question. Accept it as it stands, or give the whole of it with what is wrong put right and what is ' +
  'missing put in, and nothing that is right left out. Answer with JSON {"accept", "text", "citations": [{"file", "line", "quote"}]}: accept true needs no text; ' +
  'the text marks each statement with [n], the number of its citation from 1.';

export const versionOf = ({ round, by }: Pick<Edit, 'round' | 'by'>): string => `${round}-${by}`;

/** The version that stands after a round: in each round the edit of the version before that comes first in the order of the round. */
export const standing = (table: Pick<Table, 'minutes' | 'peers'>, through: number): Edit | undefined => {
  let current: Edit | undefined;
  for (let round = 1; round <= through; round++) current = winner(table, round, current === undefined ? EMPTY : versionOf(current)) ?? current;
  return current;
};

const winner = ({ minutes, peers }: Pick<Table, 'minutes' | 'peers'>, round: number, base: string): Edit | undefined => {
  const edits = said({ minutes }, 'document.edit').filter((edit) => edit.round === round && edit.base === base);
  const order = peers.map((_, place) => peers[(place + round - 1) % peers.length]!);
  return order.flatMap((name) => edits.filter(({ by }) => by === name))[0];
};

/** Edits that the standing versions do not hold. */
export const conflicts = (table: Pick<Table, 'minutes' | 'peers'>, through: number): Edit[] =>
  said(table, 'document.edit').filter((edit) => {
    if (edit.round > through) return false;
    const stood = standing(table, edit.round);
    return stood === undefined || versionOf(stood) !== versionOf(edit);
  });

const next = (table: Table, { rounds }: RulesOf<'refine'>): Move => {
  for (let round = 1; round <= rounds; round++) {
    const moved = roundMove(table, round);
    if (moved) return moved;
    const document = standing(table, round);
    if (!document) return noConclusion(table, failure('PEERS_SILENT', 'none of the peers wrote a draft'));
    if (isAccepted(table, round, document)) return concluded(table, document, round, 'agreement');
  }
  return concluded(table, standing(table, rounds)!, rounds, 'rounds');
};

const roundMove = (table: Table, round: number): Move | undefined => {
  const phase = editIn(round);
  const me = meOf(table);
  const spoke = (name: string) =>
    [...said(table, 'document.edit'), ...said(table, 'document.accept')].some((minute) => minute.round === round && minute.by === name);
  if (spoke(me) || passed(table, phase, me)) return gather(table, phase, othersOf(table), spoke);
  const document = standing(table, round - 1);
  if (!document) return { kind: 'work', phase, task: { step: phase, instructions: table.goal, findings: [] } };
  // Nobody else has touched what it wrote itself.
  if (document.by === me && document.round === round - 1) return sayToAll(table, { type: 'document.accept', round, version: versionOf(document) });
  return { kind: 'ask', phase, format: 'edit', messages: editing(table, document, round) };
};

const editing = (table: Table, document: Edit, round: number): ChatMessage[] => {
  const lost = conflicts(table, round - 1).findLast((edit) => edit.by === meOf(table) && edit.round === round - 1);
  return [
    systemMessage(table.profile, [EDIT_DUTY]),
    sectionsMessage([
      ['Question', table.goal],
      ['Document', withSources(document)],
      [
        'Own edit',
        lost && `Made on version ${lost.base}, it is in conflict with this version, ${versionOf(document)}; make it again on this one.\n${withSources(lost)}`,
      ],
    ]),
  ];
};

const withSources = ({ text, citations }: Edit): string => [text, ...(citations.length > 0 ? ['Sources:', citationLines(citations)] : [])].join('\n');

const isAccepted = (table: Table, round: number, document: Edit): boolean => {
  const accepts = said(table, 'document.accept').filter((minute) => minute.round === round);
  const edited = said(table, 'document.edit').some((minute) => minute.round === round);
  return !edited && accepts.length > 0 && accepts.every(({ version }) => version === versionOf(document));
};

const concluded = (table: Table, document: Edit, rounds: number, by: 'agreement' | 'rounds'): Move => {
  const made = new Set([...said(table, 'document.edit'), ...said(table, 'document.accept')].map((minute) => minute.by)).size;
  const who = by === 'agreement' ? `${count(made, 'peer')} agreed on` : 'the rounds were used up at';
  const note = `${who} version ${versionOf(document)}; ${count(conflicts(table, rounds).length, 'edit')} in conflict`;
  return { kind: 'conclude', conclusion: { answer: document.text, citations: document.citations, ended: { by, rounds, note } } };
};

export const refine: Protocol<'refine'> = {
  next,
  answered: (table, phase, reply) => {
    const edit = readReply('edit', reply);
    if (!edit.ok) return edit;
    const round = roundOf(phase);
    const version = versionOf(standing(table, round - 1)!);
    const { accept, text, citations } = edit.value;
    if (accept) return { ok: true, value: sayToAll(table, { type: 'document.accept', round, version }) };
    if (text.trim() === '') return { ok: false, problem: 'answer.text is empty, and answer.accept is not true' };
    return { ok: true, value: sayToAll(table, { type: 'document.edit', round, base: version, text, citations }) };
  },
  worked: (table, phase, { text, citations }) => sayToAll(table, { type: 'document.edit', round: roundOf(phase), base: EMPTY, text, citations }),
};
