/**
 * What every model adapter promises, whatever is behind it.
 *
 *   A1  Nothing is sent without a grant that is neither used nor expired, and the grant is used up by sending.
 *   A2  The answer keeps to the smaller cap of request and grant.
 *   A3  An aborted call ends, and says what it may have cost.
 *   A4  What is heard while it speaks is the answer's text.
 *   A5  The input is never more tokens than its bound.
 *   A6  A format that is asked for is the format of the answer.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ModelAdapter, ModelAnswer, ModelError, ToolSpec } from '../../src/capabilities/model/port.ts';
import { type TroupeError } from '../../src/protocols/failure.ts';
import { parseFormat } from '../../src/protocols/formats.ts';
import { Grant } from '../../src/protocols/grant.ts';
import { FinishReason, ModelReply, ModelRequest } from '../../src/protocols/model.ts';

/** An adapter with whatever it needs, made anew for each test. */
export type Subject = {
  readonly adapter: ModelAdapter;
  readonly model: string;
  /** How many attempts reached the model; absent where nobody can look. */
  readonly attempts?: () => number;
  /** The next answer says two words and then never goes on; absent where answers come at once. */
  readonly hold?: () => void;
  readonly stop?: () => Promise<void>;
};

const tools: readonly ToolSpec[] = [
  {
    name: 'search_files',
    description: 'Searches the files of the folder and gives the best passages.',
    parameters: { type: 'object', properties: { query: { type: 'string', description: 'What to look for — “words”' } }, required: ['query'] },
  },
];

const FINDINGS =
  '## s1 (reader)\nRefunds are paid within 14 days [1]. The desk is open on weekdays [2].\nSources:\n[1] docs/refunds.md:3 "Refunds are paid within 14 days."\n[2] docs/desk.md:9 "The desk is open on weekdays."';
const AGENTS = '- reader: finds passages about refunds in the documents\n- writer: writes answers';
const EVIDENCE = '{"file":"docs/refunds.md","line":3,"status":"ok"}';

const sections = { Question: 'How fast are refunds paid — and when is the desk open?', Task: 'Answer the question.', Agents: AGENTS, Findings: FINDINGS };

const questionAs = (model: string, more: Partial<ModelRequest> = {}): ModelRequest =>
  ModelRequest.parse({
    model,
    messages: [
      { role: 'system', text: 'You are writer, who answers from findings.\nAnswer with JSON {"text", "citations": [{"file", "line", "quote"}]}.' },
      {
        role: 'user',
        text: Object.entries(sections)
          .map(([title, body]) => `# ${title}\n${body}`)
          .join('\n\n'),
      },
    ],
    maxTokens: 800,
    ...more,
  });

export const modelAdapterSuite = (name: string, start: () => Subject | Promise<Subject>): void => {
  describe(`the model adapter ${name}`, () => {
    let subject: Subject;
    let grants = 0;
    beforeEach(async () => {
      subject = await start();
    });
    afterEach(() => subject.stop?.());

    const grantOf = (maxTokens = 800, deadline = Number.MAX_SAFE_INTEGER): Grant =>
      Grant.from({ grant: `r-suite.worker.a/1/model#${++grants}`, amountNanos: '1000000', maxTokens, deadline, leftNanos: '0' });

    type More = { readonly grant?: Grant; readonly signal?: AbortSignal; readonly onText?: (piece: string) => void; readonly tools?: readonly ToolSpec[] };
    const ask = (request = questionAs(subject.model), { grant = grantOf(), signal = new AbortController().signal, ...more }: More = {}): Promise<ModelAnswer> =>
      subject.adapter.call(request, grant, { signal, tools: more.tools ?? [], onText: more.onText });

    const failureOf = (calling: Promise<unknown>): Promise<TroupeError> =>
      calling.then(
        () => Promise.reject(new Error('expected the call to fail')),
        (thrown: TroupeError) => thrown,
      );

    it('answers in the form that the protocol says', async () => {
      const reply = await ask();
      expect(ModelReply.safeParse(reply).error).toBeUndefined();
      expect(reply.text.length).toBeGreaterThan(0);
      expect(subject.model.startsWith(`${subject.adapter.provider}/`)).toBe(true);
    });

    it('makes one attempt of a call, with a grant that is used up by it (A1)', async () => {
      const grant = grantOf();
      await ask(undefined, { grant });
      expect(() => grant.use(0)).toThrow(/used before/);
      if (subject.attempts) expect(subject.attempts()).toBe(1);
    });

    it('sends once when two calls have the same grant (A1)', async () => {
      const grant = grantOf();
      const outcomes = await Promise.allSettled([ask(undefined, { grant }), ask(undefined, { grant })]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const rejected = outcomes.find((outcome) => outcome.status === 'rejected');
      expect(rejected?.reason).toMatchObject({ code: 'GRANT_USED' });
      if (subject.attempts) expect(subject.attempts()).toBe(1);
    });

    it('sends nothing with a grant that has expired (A1)', async () => {
      expect(await failureOf(ask(undefined, { grant: grantOf(800, 1) }))).toMatchObject({ code: 'GRANT_EXPIRED' });
      if (subject.attempts) expect(subject.attempts()).toBe(0);
    });

    it.each([
      [1, 800],
      [12, 800],
      [800, 12],
      [800, 1],
    ])('keeps to the smaller cap of request (%i) and grant (%i) (A2)', async (maxTokens, granted) => {
      const reply = await ask(questionAs(subject.model, { maxTokens }), { grant: grantOf(granted) });
      expect(reply.usage.outputTokens).toBeLessThanOrEqual(Math.min(maxTokens, granted));
      expect(FinishReason.options).toContain(reply.finish);
    });

    it('sends nothing when it is aborted before, and leaves the grant as it is (A3)', async () => {
      const grant = grantOf();
      expect(await failureOf(ask(undefined, { grant, signal: AbortSignal.abort() }))).toMatchObject({
        code: 'MODEL_ABORTED',
        billing: 'none',
        retryable: false,
      });
      expect(() => grant.use(0)).not.toThrow();
      if (subject.attempts) expect(subject.attempts()).toBe(0);
    });

    it('ends when it is aborted in the middle, and does not say that it was for nothing (A3)', async () => {
      subject.hold?.();
      const abort = new AbortController();
      const outcome = await ask(undefined, { signal: abort.signal, onText: () => abort.abort() }).catch((thrown: ModelError) => thrown);
      // An answer that comes at once may be complete before anybody can stop it.
      if (!subject.hold && !(outcome instanceof Error)) return expect(ModelReply.safeParse(outcome).success).toBe(true);
      expect(outcome).toMatchObject({ code: 'MODEL_ABORTED', retryable: false });
      expect((outcome as ModelError).billing).not.toBe('none');
    });

    it('says while it speaks what it has said in the end (A4)', async () => {
      let heard = '';
      const reply = await ask(undefined, { onText: (piece) => (heard += piece) });
      expect(heard).toBe(reply.text);
      const silent = await ask();
      expect(silent.text).toBe(reply.text);
    });

    it.each([
      ['plain', {}, []],
      ['with tools', { tools: ['search_files'] }, tools],
      ['with a format', { format: 'report' }, []],
      ['with tools and a format', { tools: ['search_files'], format: 'report' }, tools],
    ] as const)('has no more input than its bound: %s (A5)', async (_, more, specs) => {
      const request = questionAs(subject.model, { ...more, tools: [...('tools' in more ? more.tools : [])] });
      const bound = subject.adapter.inputTokenBound(request, specs);
      const { usage } = await ask(request, { tools: specs });
      expect(usage.inputTokens).toBeGreaterThan(0);
      expect(usage.inputTokens).toBeLessThanOrEqual(bound);
      expect(usage.cachedInputTokens).toBeLessThanOrEqual(usage.inputTokens);
    });

    it('has no more input than its bound late in a conversation (A5)', async () => {
      const opening = questionAs(subject.model).messages;
      const request = questionAs(subject.model, {
        messages: [
          ...opening,
          { role: 'assistant', text: '', toolCalls: [{ id: 'c1', name: 'search_files', input: { query: 'refunds "14 days"' } }] },
          { role: 'tool', callId: 'c1', ok: true, text: `docs/refunds.md:3 Refunds are paid within 14 days.\n${'Ελλάδα 🏛️ '.repeat(60)}` },
        ],
        tools: ['search_files'],
        format: 'report',
      });
      const { usage } = await ask(request, { tools });
      expect(usage.inputTokens).toBeLessThanOrEqual(subject.adapter.inputTokenBound(request, tools));
    });

    it.each(['plan', 'report', 'verdict', 'bid', 'critique', 'ballot', 'edit'] as const)('answers with a %s when one is asked for (A6)', async (format) => {
      const report = JSON.stringify({
        text: 'Refunds are paid within 14 days [1].',
        citations: [{ file: 'docs/refunds.md', line: 3, quote: 'Refunds are paid within 14 days.' }],
      });
      const positions = `# Positions\n## position (reader)\n${report}`;
      const sections: Partial<Record<typeof format, string>> = {
        verdict: `# Report to check\n${report}\n\n# Evidence\n${EVIDENCE}`,
        critique: positions,
        ballot: positions,
        edit: `# Document\n${report}`,
      };
      const [system, user] = questionAs(subject.model).messages as [ModelRequest['messages'][number], ModelRequest['messages'][number]];
      const reply = await ask(
        questionAs(subject.model, {
          format,
          messages: [system, { role: 'user', text: [user.text, ...(sections[format] === undefined ? [] : [sections[format]])].join('\n\n') }],
        }),
      );
      expect(reply.finish).toBe('stop');
      expect(parseFormat(format, reply.text)).toMatchObject({ ok: true });
    });
  });
};
