import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findingLines } from '../../../../src/actors/conversation.ts';
import { request } from '../../../../src/actors/conversation.ts';
import * as supervisor from '../../../../src/actors/supervisor/policy.ts';
import { draftProblems, fromDraft, openPlan } from '../../../../src/actors/supervisor/plan.ts';
import { readRevision, revise, revisionPrompt, revisionRequest } from '../../../../src/actors/supervisor/revision.ts';
import { readRoute, routePrompt, routeRequest } from '../../../../src/actors/supervisor/routing.ts';
import { EXTRACTIVE_MODEL } from '../../../../src/capabilities/model/extractive/adapter.ts';
import type { Toolbox } from '../../../../src/capabilities/tool/toolbox.ts';
import { parseFormat, type Report } from '../../../../src/protocols/formats.ts';
import type { ModelRequest } from '../../../../src/protocols/model.ts';
import type { Finding } from '../../../../src/protocols/task.ts';
import { createFolder, type TestFolder } from '../../../support/folder.ts';
import { grant, model, profile, review, say, toolboxFor, work } from './talk.ts';

const FILES = {
  'ferry.md': [
    '# Island ferry',
    '',
    'The ferry to Marsk leaves the north pier every day at 9:30, e.g. also on',
    'public holidays. It crosses in forty minutes.',
    '',
    '## Tickets',
    '',
    '| Passenger | Price |',
    '| --- | --- |',
    '| Adult | 12 crowns |',
    '| Dog | 3 crowns |',
    '',
    'Children under six travel free. Tickets are refunded until one hour before departure.',
    '',
    '## Boarding',
    '',
    'To board with a bicycle:',
    '',
    '- buy a bicycle tag at the counter',
    '- walk the bicycle up the ramp',
    '',
    'Dogs must be kept on a lead because the deck is shared.',
  ].join('\n'),
  'crew.txt': 'The ferry was built by Henrik Dahl in 1987.\nIts captain is Mette Lund.\n',
  'tool/board.ts': [
    'export const columns = 4;',
    '/**',
    ' * Draws the departure board.',
    ' * A cancelled crossing blinks three times.',
    ' */',
    'export const draw = () => blink(3);',
  ].join('\n'),
  'tool/readme.md':
    '# Timetable tool\n\nInstall it with npm:\n\n```sh\nnpm install marsk-timetable\n```\n\n### refreshMs\n\nDefault: `60000`. How often the board is fetched.\n',
};

let folder: TestFolder;
let toolbox: Toolbox;

beforeAll(() => {
  folder = createFolder('island', FILES);
  toolbox = toolboxFor(folder);
});
afterAll(() => folder.remove());

const ask = (question: string) => work(toolbox, { instructions: question });

describe('research', () => {
  it.each([
    ['When does the ferry to Marsk leave?', /at 9:30/],
    ['How much is a ticket for a dog?', /3 crowns/],
    ['Who built the ferry?', /Henrik Dahl/],
    ['Why do dogs need a lead?', /because the deck is shared/],
    ['How do I board with a bicycle?', /bicycle tag[^]*up the ramp/],
    ['How do I install the timetable tool?', /npm install marsk-timetable/],
    ['What is the default of refreshMs?', /60000/],
    ['Until when can tickets be refunded?', /one hour before departure/],
    ['How long does the crossing take?', /forty minutes/],
    ['How many times does a cancelled crossing blink?', /blinks three times/],
    ['Who constructed the ferry?', /Henrik Dahl/],
    ['What must an adult pay?', /Passenger: Adult; Price: 12 crowns/],
    ['When does the ferry leave for Marsk, and which children travel free?', /9:30[^]*Children under six/],
  ])('%s', async (question, expected) => {
    const { report, turns, finish } = await ask(question);
    expect(report.text).toMatch(expected);
    expect(report.citations.length).toBeGreaterThan(0);
    expect(turns).toBeLessThanOrEqual(5);
    expect(finish).toBe('stop');
  });

  it.each([
    'Who is the mayor of Marsk?',
    'What does the hotel charge for breakfast?',
    'How do I configure TLS certificates?',
    'How often is the engine serviced?',
    'Who owns the hotel?',
    'Does the captain walk the dogs during the public holidays?',
    'What colour is the ferry?',
  ])('says plainly that the documents do not answer: %s', async (question) => {
    const { report, turns } = await ask(question);
    expect(report).toEqual({ text: `Not found in the documents: ${question}`, citations: [] });
    expect(turns).toBeLessThanOrEqual(5);
  });

  it('says what was not read when it did not find what was asked, and only then', async () => {
    const crew = createFolder('crew', { 'crew.txt': 'The ferry was built by Henrik Dahl in 1987.\n' });
    try {
      crew.write('old.txt', new Uint8Array([0x67, 0xfc, 0x6e]));
      const asked = async (instructions: string) => (await work(toolboxFor(crew), { instructions })).report.text;
      const unread = 'Not read: 1 file is not UTF-8 text (crew/old.txt)';
      expect(await asked('Who owns the hotel?')).toBe(`Not found in the documents: Who owns the hotel?\n${unread}`);
      expect(await asked('Who built the ferry?')).toMatch(/^The ferry was built by Henrik Dahl in 1987\. \[1\]$/);
    } finally {
      crew.remove();
    }
  });

  it('answers both halves of a question, and says which half it cannot', async () => {
    expect((await ask('Who built the ferry and how much does an adult pay?')).report.text).toMatch(/Henrik Dahl[^]*12 crowns/);
    expect((await ask('Who built the ferry, and what is the password of the wireless network?')).report.text).toMatch(
      /Henrik Dahl[^]*Not found in the documents: what is the password/,
    );
  });

  it.each([
    ['words', 'lorem ipsum dolor '],
    ['questions', 'What does pier 4 cost and how is lease 7 kept? '],
    ['one word', 'y'],
    ['characters without spaces', '渡船'],
    ['blanks', '   '],
    ['halves of a comparison', 'difference between a and ??? '],
  ])('reads a question of 200,000 characters at its beginning and its end: %s', async (_, filling) => {
    const middle = filling.repeat(200_000 / filling.length);
    const { report, turns } = await ask(`Who built the ferry? ${middle} How much is a ticket for a dog?`);
    expect(turns).toBeLessThanOrEqual(5);
    expect(report.text).toMatch(/Henrik Dahl|3 crowns/);
    expect(report.text.length).toBeLessThan(8_000);
  });

  it('searches first, then reads, then answers', async () => {
    const { calls } = await ask('Who built the ferry?');
    expect(new Set(calls.map(({ name }) => name))).toEqual(new Set(['search_files', 'read_file']));
    expect(calls[0]!.name).toBe('search_files');
  });

  it('does without a search when it has none', async () => {
    const { report, calls } = await work(toolbox, { instructions: 'Who built the ferry?' }, profile(['list_files', 'read_file']));
    expect(calls[0]!.name).toBe('list_files');
    expect(report.text).toContain('Henrik Dahl');
  });

  it('answers from what it has when its tools are taken away', async () => {
    const { report, turns } = await work(toolbox, { instructions: 'Who built the ferry?' }, profile(undefined, { turns: 2 }));
    expect(turns).toBe(2);
    expect(report.text).toContain('Henrik Dahl');
  });

  it('answers after four rounds, whatever they brought', async () => {
    const failing: ModelRequest['messages'] = Array.from({ length: 4 }, (_, round) => [
      { role: 'assistant' as const, text: '', toolCalls: [{ id: `c${round}`, name: 'search_files', input: { query: 'ferry' } }] },
      { role: 'tool' as const, callId: `c${round}`, ok: false, text: 'search_files failed' },
    ]).flat();
    const request = { ...base, format: 'report' as const, tools: ['search_files', 'list_files'] };
    const opening = { role: 'user' as const, text: '# Question\nWho built the ferry?' };
    expect((await say({ ...request, messages: [opening, ...failing.slice(0, 6)] })).toolCalls).toMatchObject([{ name: 'list_files' }]);
    expect(await say({ ...request, messages: [opening, ...failing] })).toMatchObject({ finish: 'stop', toolCalls: [] });
  });

  it('leaves out what the last review objected to', async () => {
    const before = await ask('How much is a ticket for a dog?');
    const reasons = ['"Dog | 3 crowns" says more than its sources'];
    const after = await work(toolbox, { instructions: 'How much is a ticket for a dog?', feedback: { previous: before.report.text, reasons } });
    expect(after.report.text).not.toContain('3 crowns');
  });

  it('quotes single lines, word for word, and its reports pass review', async () => {
    for (const question of [
      'When does the ferry to Marsk leave?',
      'How do I board with a bicycle?',
      'How do I install the timetable tool?',
      'What is the default of refreshMs?',
      'How many times does a cancelled crossing blink?',
    ]) {
      const { report } = await ask(question);
      for (const { file, line, quote } of report.citations) {
        const text = FILES[file.slice('island/'.length) as keyof typeof FILES].split('\n')[line - 1]!;
        expect(text).toContain(quote);
        expect(quote.length).toBeLessThanOrEqual(300);
      }
      expect(await review(toolbox, question, report)).toMatchObject({ verdict: 'accept', reasons: [] });
    }
  });

  it('gives the same answer to the same request', async () => {
    expect(await ask('Why do dogs need a lead?')).toEqual(await ask('Why do dogs need a lead?'));
  });
});

describe('review', () => {
  const report: Report = {
    text: 'The ferry was built by Henrik Dahl in 1987. [1]',
    citations: [{ file: 'island/crew.txt', line: 1, quote: 'The ferry was built by Henrik Dahl in 1987.' }],
  };

  it('accepts what its sources carry', async () => {
    const verdict = await review(toolbox, 'Who built the ferry?', report);
    expect(verdict).toMatchObject({ verdict: 'accept' });
    expect(verdict.confidence).toBeGreaterThan(0.9);
  });

  it.each([
    ['a quote that stands nowhere', { ...report, citations: [{ ...report.citations[0]!, quote: 'The ferry was built by Henrik Dahl in 1988.' }] }, /missing/],
    ['a quote from another line', { ...report, citations: [{ ...report.citations[0]!, line: 2 }] }, /stands at line 1/],
    ['a number that the source does not hold', { ...report, text: 'The ferry was built by Henrik Dahl in 1988. [1]' }, /number/],
    ['a claim without a source', { ...report, text: `${report.text} The captain owns two more ferries.` }, /cites nothing/],
    [
      'a claim that goes beyond its source',
      { ...report, text: 'The famous shipyard of Henrik Dahl won three prizes for this vessel. [1]' },
      /says more than its sources/,
    ],
    ['a claim that turns its source round', { ...report, text: 'The ferry was not built by Henrik Dahl in summer 1987. [1]' }, /"not"/],
  ])('sends back %s, with the reason', async (_, wrong, reason) => {
    const verdict = await review(toolbox, 'Who built the ferry?', wrong);
    expect(verdict.verdict).toBe('revise');
    expect(verdict.reasons.join('\n')).toMatch(reason);
  });

  it('takes what was not read for no claim', async () => {
    const text = 'Not found in the documents: Who is the mayor?\nNot read: 1 file is larger than 2,000,000 bytes (island/big.md)';
    expect(await review(toolbox, 'Who is the mayor?', { text, citations: [] })).toMatchObject({ verdict: 'accept', confidence: 0.75 });
  });

  it('accepts a report that found nothing, with less confidence', async () => {
    const verdict = await review(toolbox, 'Who is the mayor?', { text: 'Not found in the documents: Who is the mayor?', citations: [] });
    expect(verdict.verdict).toBe('accept');
    expect(verdict.confidence).toBeLessThan(0.9);
  });

  it('rejects a report about something else', async () => {
    expect((await review(toolbox, 'How do I configure TLS certificates?', report)).verdict).toBe('reject');
  });
});

describe('planning', () => {
  const team = (agents: readonly { name: string; description: string }[]) =>
    ({ profile: { ...profile([]), name: 'lead' }, agents, maxSteps: 4, goal: '', endsAt: 0, now: 0 }) as unknown as supervisor.SupervisorInput & {
      goal: string;
      endsAt: number;
      now: number;
    };
  const reader = { name: 'reader', description: 'finds facts in the documents' };
  const clerk = { name: 'clerk', description: 'knows tickets, prices and refunds' };
  const writer = { name: 'writer', description: 'writes the summary' };
  const plan = async (goal: string, agents: readonly { name: string; description: string }[]) => {
    const made = { ...team(agents), goal };
    const parsed = parseFormat('plan', (await say(request(made.profile, supervisor.planning(made), 'plan'))).text);
    if (!parsed.ok) throw new Error(parsed.problem);
    expect(
      draftProblems(
        parsed.value,
        agents.map(({ name }) => name),
        4,
      ),
    ).toEqual([]);
    return parsed.value.steps;
  };

  it('gives each question in the question to the agent that fits it, at the same time, and the end to who writes', async () => {
    const steps = await plan('Who built the ferry, and how are ticket prices refunded?', [reader, clerk, writer]);
    expect(steps.map(({ agent }) => agent)).toEqual(['reader', 'clerk', 'writer']);
    expect(steps.map(({ needs }) => needs.length)).toEqual([0, 0, 2]);
  });

  it('says what `it` is in a step of its own', async () => {
    const steps = await plan('What is refreshMs and how is it changed?', [reader]);
    expect(steps[1]!.task).toMatch(/how is it changed\?.*refreshMs/);
  });

  it('plans one step for one question and one agent', async () => {
    expect(await plan('Who built the ferry?', [reader])).toMatchObject([{ agent: 'reader', needs: [] }]);
  });
});

describe('routing', () => {
  const routing = {
    routes: [
      { agent: 'clerk', when: 'questions about tickets, prices and refunds' },
      { agent: 'mate', when: 'questions about dogs, bicycles and boarding' },
    ],
    confidenceFrom: 0.6,
    onUnknown: 'fail' as const,
  };
  const route = async (goal: string) => {
    const router = { profile: { ...profile([]), name: 'desk' }, goal, routing };
    const reply = await say(routeRequest({ ...router, messages: routePrompt(router) }));
    const parsed = readRoute(router, reply);
    if (!parsed.ok) throw new Error(parsed.problem);
    return parsed.value;
  };

  it('names the agent whose route has the words of the question, and those words', async () => {
    expect(await route('What are the prices of tickets?')).toEqual({ agent: 'clerk', confidence: 1, reason: 'the question speaks of ticket, price' });
  });

  it('is less sure of one the more the question has of another', async () => {
    const { agent, confidence } = await route('What are the prices of tickets for dogs?');
    expect([agent, confidence]).toEqual(['clerk', 0.67]);
  });

  it('names nobody where no word fits', async () => {
    expect(await route('Good morning!')).toMatchObject({ agent: null, confidence: 1 });
  });
});

describe('revising a plan', () => {
  const planner = {
    profile: { ...profile([]), name: 'lead' },
    goal: 'Who built the ferry, and what does it cost?',
    agents: ['reader', 'clerk'].map((name) => ({ name, description: 'finds things' })),
    maxSteps: 4,
    replans: 1,
    revisions: [],
    considered: 0,
  };
  const written = fromDraft({
    steps: [
      { id: 'find', agent: 'reader', task: 'Who built the ferry?\nSay the year too.', needs: [] },
      { id: 'compare', agent: 'reader', task: 'Compare it.\nBriefly.', needs: ['find'] },
    ],
  });
  const revisionAfter = async (text: string, maxSteps = planner.maxSteps) => {
    const steps = openPlan(written).map((step) => (step.id === 'find' ? { ...step, status: 'completed' as const, attempt: 1, text } : step));
    const team = { ...planner, steps, maxSteps };
    const messages = revisionPrompt(team, [{ step: 'find', agent: 'reader', text, citations: [] }]);
    const parsed = readRevision(team, await say(revisionRequest({ ...team, messages })));
    if (!parsed.ok) throw new Error(parsed.problem);
    return { ...parsed.value, revised: revise(team, parsed.value).revised };
  };

  it('leaves the plan as it is when something was found', async () => {
    expect(await revisionAfter('Henrik Dahl built it in 1987.')).toMatchObject({ reason: 'what was found changes nothing', revised: undefined });
  });

  it('gives what was not found to another agent, for which the rest then waits', async () => {
    const { steps, reason } = await revisionAfter('Not found in the documents: Who built the ferry?');
    expect(steps).toEqual([
      { id: 'find-again', agent: 'clerk', task: 'Who built the ferry?\nSay the year too.', needs: [] },
      { id: 'compare', agent: 'reader', task: 'Compare it.\nBriefly.', needs: ['find-again'] },
    ]);
    expect(reason).toBe('nothing came of find');
  });

  it('adds no step beyond those that a plan may have', async () => {
    expect(await revisionAfter('Not found in the documents: Who built the ferry?', 2)).toMatchObject({ revised: undefined });
  });
});

describe('synthesis', () => {
  const built: Finding = {
    step: 'a',
    agent: 'reader',
    text: 'The ferry was built by Henrik Dahl in 1987. [1]',
    citations: [{ file: 'island/crew.txt', line: 1, quote: 'The ferry was built by Henrik Dahl in 1987.' }],
  };
  const price: Finding = {
    step: 'b',
    agent: 'clerk',
    text: '- Adult | 12 crowns [1]\n- The ferry was built by Henrik Dahl in 1987. [2]\nNot found in the documents: what does a horse pay?',
    citations: [{ file: 'island/ferry.md', line: 10, quote: '| Adult | 12 crowns |' }, ...built.citations],
  };
  const synthesise = async (goal: string, findings: readonly Finding[]): Promise<Report> => {
    const request: ModelRequest = {
      ...base,
      format: 'report',
      messages: [{ role: 'user', text: `# Question\n${goal}\n\n# Findings\n${findingLines(findings)}` }],
    };
    const parsed = parseFormat('report', (await say(request)).text);
    if (!parsed.ok) throw new Error(parsed.problem);
    return parsed.value;
  };

  it('hands on, once, what those who found nothing could not read', async () => {
    const unread = 'Not read: 1 file is not UTF-8 text (island/old.txt)';
    const nothing: Finding = { ...price, text: `Not found in the documents: what does a horse pay?\n${unread}`, citations: [] };
    const { text } = await synthesise('What does a horse pay?', [nothing, { ...nothing, step: 'c' }]);
    expect(text).toBe(`Not found in the documents: what does a horse pay?\n${unread}`);
    expect((await synthesise('Who built the ferry?', [built, { ...nothing, text: unread }])).text).toBe('The ferry was built by Henrik Dahl in 1987. [1]');
  });

  it('orders by the question, says things once, numbers the sources anew, and keeps what was not found', async () => {
    expect(await synthesise('How much does an adult pay in crowns, and what does a horse pay?', [built, price])).toEqual({
      text: '- Adult | 12 crowns [1]\n- The ferry was built by Henrik Dahl in 1987. [2]\nNot found in the documents: what does a horse pay?',
      citations: [price.citations[0], built.citations[0]],
    });
  });

  it('says so when no step brought anything', async () => {
    const nothing = { step: 'a', agent: 'reader', text: 'Not found in the documents: Who is the mayor?', citations: [] };
    expect(await synthesise('Who is the mayor?', [nothing])).toEqual({ text: 'Not found in the documents: Who is the mayor?', citations: [] });
  });

  it('names a step that failed', async () => {
    const failed = { step: 'b', agent: 'clerk', text: 'This step failed: the clerk is ill', citations: [] };
    expect((await synthesise('Who built the ferry?', [built, failed])).text).toMatch(/Henrik Dahl[^]*b \(the clerk is ill\)/);
  });

  it('takes no word about a step that has no result for a finding, but what was done of it', async () => {
    const skipped = { step: 'b', agent: 'clerk', text: 'This step was skipped: step b runs only when the ferry sails. It does not.', citations: [] };
    const failed = {
      step: 'c',
      agent: 'clerk',
      text: `This step failed: it was not accepted. Twice.\nWhat was done: ${built.text}`,
      citations: built.citations,
    };
    const { text } = await synthesise('Who built the ferry?', [skipped, failed]);
    expect(text).toMatch(/^The ferry was built by Henrik Dahl in 1987\. \[1\]\n[^]*c \(it was not accepted\. Twice\.\)/);
    expect(text).not.toContain('skipped');
    expect(text).not.toContain('does not');
  });
});

const base: ModelRequest = { model: EXTRACTIVE_MODEL, messages: [], tools: [], maxTokens: 2_000, minTokens: 16, timeoutMs: 1_000 };

describe('the port', () => {
  const signal = new AbortController().signal;
  const findings = findingLines(
    Array.from({ length: 6 }, (_, n) => ({
      step: `s${n}`,
      agent: 'reader',
      text: `Pier number ${n} holds ${n + 2} boats near mark ${n * 7}. [1]`,
      citations: [{ file: 'island/piers.md', line: n + 1, quote: `Pier number ${n} holds ${n + 2} boats near mark ${n * 7}.` }],
    })),
  );
  const request: ModelRequest = {
    ...base,
    format: 'report',
    messages: [{ role: 'user', text: `# Question\nHow many boats does each pier hold?\n\n# Findings\n${findings}` }],
  };

  it('gives a shorter answer, and never broken JSON, when the cap is low', async () => {
    const full = await say(request);
    let shorter = 0;
    for (let maxTokens = full.usage.outputTokens; maxTokens > 0; maxTokens -= 7) {
      const reply = await model.call(request, grant(maxTokens), { signal, tools: [] });
      expect(reply.usage.outputTokens).toBeLessThanOrEqual(maxTokens);
      if (reply.finish === 'length') expect(reply.text).toBe('');
      else expect(parseFormat('report', reply.text).ok).toBe(true);
      if (reply.finish === 'stop' && reply.text.length < full.text.length) shorter++;
    }
    expect(shorter).toBeGreaterThan(5);
  });

  it('counts no more input than its bound', async () => {
    const reply = await say(request);
    expect(reply.usage.inputTokens).toBeGreaterThan(0);
    expect(reply.usage.inputTokens).toBeLessThanOrEqual(model.inputTokenBound(request, []));
  });

  it('uses up its grant, and stops before it when it is too late', async () => {
    const once = grant();
    await model.call(request, once, { signal, tools: [] });
    await expect(model.call(request, once, { signal, tools: [] })).rejects.toMatchObject({ code: 'GRANT_USED' });
    await expect(model.call(request, grant(), { signal: AbortSignal.abort(), tools: [] })).rejects.toMatchObject({ code: 'MODEL_ABORTED', billing: 'none' });
    await expect(model.call({ ...request, model: 'extractive/modern' }, grant(), { signal, tools: [] })).rejects.toMatchObject({
      code: 'MODEL_REJECTED',
      billing: 'none',
    });
  });

  it('gives its text in pieces, and stops between two of them', async () => {
    const pieces: string[] = [];
    const reply = await model.call(request, grant(), { signal, tools: [], onText: (piece) => pieces.push(piece) });
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.join('')).toBe(reply.text);
    const stop = new AbortController();
    const stopped = model.call(request, grant(), { signal: stop.signal, tools: [], onText: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'MODEL_ABORTED', billing: { inputTokens: reply.usage.inputTokens } });
  });

  it('answers in prose when no form is asked for', async () => {
    const { format: _, ...prose } = request;
    expect((await say(prose)).text).toContain('Pier number 0 holds 2 boats near mark 0. (island/piers.md:1)');
  });

  it('has something to say to anything', async () => {
    for (const text of [
      '',
      '?',
      '# Question\n',
      '# Task\nGo on.',
      'x'.repeat(10_000),
      '```',
      '# Findings\n## a (b)\n',
      `# Question\n${'Who did it? '.repeat(20_000)}`,
    ]) {
      for (const format of ['plan', 'report', 'verdict'] as const) {
        const reply = await say({ ...base, format, messages: [{ role: 'user', text }], maxTokens: 4_000 });
        expect(reply.finish).toBe('stop');
        expect(JSON.parse(reply.text)).toBeTypeOf('object');
      }
    }
  });
});
