/**
 * The drawing of a conversation: what the actors of a run said to each other, what they asked of models and tools, and what that
 * cost. What every paid call says to its account and hears from it is left out: the cost stands with the call.
 */
import { address as addressOf, parseAddress, type Address } from '../protocols/ids.ts';
import { formatDollars } from '../protocols/money.ts';
import { phrase, type Accent, type Line } from './picture/drawing.ts';
import type { Activation, Lifeline, Moment, Sequence } from './picture/sequence.ts';
import { clip } from './picture/text.ts';
import type { Happening, Said, Story } from './story.ts';

const REASON_CHARS = 90;

/** Said around each paid call, and by the account when it is opened and closed. */
const UNTOLD: ReadonlySet<string> = new Set([
  'budget.reserve',
  'budget.granted',
  'budget.settle',
  'budget.release',
  'budget.extend',
  'budget.open',
  'budget.opened',
  'budget.close',
  'budget.closed',
]);

export const sequenceDrawing = (run: string, team: string, story: Story): Sequence => {
  const lineOf = linesBy(story);
  const moments: Moment[] = [];
  const begun = new Map<Address, number>();
  const ended = new Set<Address>();
  const activations: Activation[] = [];
  /** The note of an actor's last call, to which the tools are added that it used then. */
  const calls = new Map<Address, number>();

  for (const happening of story.happenings) {
    switch (happening.kind) {
      case 'said': {
        const { from, to, type, position } = happening;
        if (UNTOLD.has(type)) break;
        const moment = { position, lines: saidLines(happening, story), accents: saidAccents(type) };
        moments.push(
          lineOf(from) === lineOf(to) ? { ...moment, kind: 'note', of: lineOf(to) } : { ...moment, kind: 'message', from: lineOf(from), to: lineOf(to) },
        );
        if (story.figures.has(to) && works(to) && !begun.has(to) && !ended.has(to)) begun.set(to, moments.length - 1);
        calls.delete(from);
        break;
      }
      case 'asked': {
        const { who, bill, failure, position } = happening;
        calls.set(who, moments.length);
        moments.push({
          kind: 'note',
          of: lineOf(who),
          position,
          lines: callLines(bill, story.steps.get(who), failure?.code),
          accents: failure ? ['failure'] : [],
        });
        break;
      }
      case 'used': {
        const { who, tool, ok, nanos, position } = happening;
        const at = calls.get(who);
        if (at === undefined) {
          calls.set(who, moments.length);
          moments.push({ kind: 'note', of: lineOf(who), position, lines: withTool([], tool, ok, nanos), accents: [] });
        } else moments[at] = { ...moments[at]!, lines: withTool(moments[at]!.lines, tool, ok, nanos) };
        break;
      }
      case 'ended': {
        const from = begun.get(happening.who);
        if (from !== undefined) activations.push({ lifeline: lineOf(happening.who), from, to: moments.length - 1, accents: ['taken'] });
        begun.delete(happening.who);
        ended.add(happening.who);
        break;
      }
    }
  }
  for (const [who, from] of begun) activations.push({ lifeline: lineOf(who), from, to: moments.length - 1, accents: ['active'] });

  const spent = story.spentBy(() => true);
  const asked = story.happenings.filter(({ kind }) => kind === 'asked').length;
  return {
    title: `conversation of ${team}, ${run}`,
    notes: [
      {
        sign: 'money',
        phrases: [
          phrase(formatDollars(spent), 'name'),
          phrase(`for ${asked} ${asked === 1 ? 'call' : 'calls'} of models, after ${story.entries} entries`, 'muted'),
        ],
      },
    ],
    lifelines: lifelinesOf(moments, story, lineOf),
    moments,
    activations,
  };
};

/** Actors of one agent share a line, and a peer does its work on its own. */
const linesBy =
  ({ figures }: Story): ((address: Address) => string) =>
  (address) => {
    const { run, role, agent } = parseAddress(address);
    if (agent === undefined) return role;
    return `${role === 'worker' && figures.has(addressOf(run, 'peer', agent)) ? 'peer' : role} ${agent}`;
  };

/** Accounts and the approver are there all the time. */
const works = (address: Address): boolean => !['client', 'budget', 'approver'].includes(parseAddress(address).role);

/** In the order in which they first have a part. */
const lifelinesOf = (moments: readonly Moment[], story: Story, lineOf: (address: Address) => string): Lifeline[] => {
  const ids = new Set(moments.flatMap((moment) => (moment.kind === 'note' ? [moment.of] : [moment.from, moment.to])));
  return [...ids].map((id) => {
    const figures = [...story.figures.values()].filter(({ address }) => lineOf(address) === id);
    const spent = story.spentBy((address) => lineOf(address) === id);
    const [role, agent] = id.split(' ');
    const name = figures.find((figure) => figure.name !== undefined)?.name ?? agent;
    return {
      id,
      title: id === 'client' ? 'you' : (name ?? figures[0]?.chart ?? role!),
      lines: [
        ...(name === undefined ? [] : [{ phrases: [phrase(role!, 'muted')] }]),
        ...(spent > 0n ? [{ sign: 'money', phrases: [phrase(formatDollars(spent))] } satisfies Line] : []),
      ],
      accents: [],
    };
  });
};

/** The message, what it is about, and why where it says so. */
const saidLines = ({ type, data, from, to }: Said, { steps }: Story): Line[] => {
  const step = typeof data['step'] === 'string' ? data['step'] : (steps.get(from) ?? steps.get(to));
  const about = [...(step === undefined ? [] : [step]), ...aboutOf(data)].join(', ');
  const why = reasonOf(data);
  return [
    { phrases: [phrase(type, 'name'), ...(about === '' ? [] : [phrase(about, 'guard')])] },
    ...(why === undefined ? [] : [{ phrases: [phrase(clip(why, REASON_CHARS), 'muted')] }]),
  ];
};

/** Of what a message says, that by which it is told from others of its kind. */
const aboutOf = ({
  attempt,
  verdict,
  approval,
  percent,
  nanos,
  agent,
  revision,
  round,
  base,
  version,
  price,
  confidence,
  winner,
  choice,
}: Said['data']): string[] => [
  ...(typeof attempt === 'number' && attempt > 1 ? [`attempt ${attempt}`] : []),
  ...[verdict, approval].filter((word) => typeof word === 'string'),
  ...(typeof percent === 'number' ? [`${percent} %`] : []),
  ...(typeof nanos === 'string' ? [formatDollars(BigInt(nanos))] : []),
  ...(typeof revision === 'number' ? [`revision ${revision}`] : []),
  ...(typeof round === 'number' ? [`round ${round}`] : []),
  ...(typeof base === 'string' ? [`on version ${base}`] : []),
  ...(typeof version === 'string' ? [`version ${version}`] : []),
  ...(typeof price === 'number' && typeof confidence === 'number' ? [`$${price}, confidence ${confidence}`] : []),
  ...[winner, choice, agent].filter((name) => typeof name === 'string').map((name) => `→\u00a0${name}`),
];

const reasonOf = ({ failure, reason, reasons, why, question, ended, objections, facts, handover }: Said['data']): string | undefined => {
  if (isRecord(failure) && 'code' in failure) return String(failure['code']);
  if (isRecord(ended) && typeof ended['note'] === 'string') return ended['note'];
  if (isRecord(handover)) return `handed over: ${String(handover['reason'])}`;
  if (Array.isArray(facts)) return facts.length === 1 ? '1 fact' : `${facts.length} facts`;
  const objection: unknown = Array.isArray(objections) ? objections[0] : undefined;
  if (isRecord(objection)) return `${String(objection['agent'])}: ${String(objection['text'])}`;
  const reasonsGiven: readonly unknown[] = Array.isArray(reasons) ? reasons : [];
  return [reason, why, question, reasonsGiven[0]].find((word) => typeof word === 'string' && word !== '') as string | undefined;
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const saidAccents = (type: string): readonly Accent[] => {
  if (/\.(failed|vetoed|cancel|revoked|paused|orphaned|passed|reject)$/.test(type)) return ['failure'];
  return type === 'run.completed' ? ['done'] : [];
};

const callLines = (
  { model, spentNanos, usage, kind }: Extract<Happening, { kind: 'asked' }>['bill'],
  step: string | undefined,
  failure: string | undefined,
): Line[] => [
  { sign: kind === 'tool' ? 'tool' : 'model', phrases: [phrase(model), ...(step === undefined ? [] : [phrase(step, 'guard')])] },
  {
    sign: 'money',
    phrases: [
      phrase(formatDollars(BigInt(spentNanos)), 'name'),
      ...(kind === 'tool' ? [] : [phrase(`${usage.inputTokens} + ${usage.outputTokens} tokens`, 'muted')]),
    ],
  },
  ...(failure === undefined ? [] : [{ sign: 'failed', phrases: [phrase(failure)] } satisfies Line]),
];

/** One line for each tool, however often it was used; one that costs something has a line for each time. */
const withTool = (lines: readonly Line[], tool: string, ok: boolean, nanos: bigint): Line[] => {
  const sign = ok ? 'tool' : 'failed';
  if (nanos > 0n) return [...lines, { sign, phrases: [phrase(tool), phrase(formatDollars(nanos), 'name')] }];
  const found = lines.findIndex((line) => line.sign === sign && line.phrases[0]!.text === tool && line.phrases[1]?.tone !== 'name');
  if (found < 0) return [...lines, { sign, phrases: [phrase(tool)] }];
  const times = Number(lines[found]!.phrases[1]?.text.slice(1) ?? '1') + 1;
  return lines.with(found, { sign, phrases: [phrase(tool), phrase(`×${times}`, 'muted')] });
};
