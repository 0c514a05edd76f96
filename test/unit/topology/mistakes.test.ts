/** What people read when a team file is wrong: each kind of mistake, its place and its words. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTeam } from '../../../src/topology/load.ts';
import { formatProblem, TeamFileError } from '../../../src/topology/problem.ts';
import { catalogue, edited, teamFolder, workflow } from './team-folder.ts';

const centralised = `${workflow.slice(0, workflow.indexOf('  kind: workflow'))}  kind: centralised
  supervisor: lead
  workers: [reader]
  reviewer: checker
budget:
  limit: 0.05
`;

const router = `${workflow.slice(0, workflow.indexOf('  kind: workflow'))}  kind: router
  supervisor: lead
  routes:
    - { agent: reader, when: it is to be read }
    - { agent: writer, when: it is to be written }
budget:
  limit: 0.05
`
  .replace('  checker:\n    kind: reviewer\n    role: a fact checker\n    tools: [check_quotes]\n', '  writer: { kind: worker, role: a writer }\n')
  .replace('  topic: { text: budgets }\n', '')
  .replace('about {topic}', 'about it');

let folder: Awaited<ReturnType<typeof teamFolder>>;
beforeAll(async () => void (folder = await teamFolder()));
afterAll(() => folder.remove());

/** The problems of a text as people read them, with the temporary folder called <dir>. */
const problemsOf = async (text: string): Promise<string> => {
  await folder.write(text);
  try {
    const { warnings } = await loadTeam('team.yaml', { cwd: folder.path, catalogue });
    return warnings.map(formatProblem).join('\n');
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TeamFileError);
    return (thrown as TeamFileError).message.replaceAll(folder.path, '<dir>');
  }
};

test('the files that the mistakes are made in have none', async () => {
  expect(await problemsOf(workflow)).toBe('');
  expect(await problemsOf(centralised)).toBe('');
  expect(await problemsOf(router)).toBe('');
});

type Mistake = readonly [what: string, text: string, said: string];

const syntax: Mistake[] = [
  [
    'a duplicate key',
    edited(workflow, 'name: compare', 'name: compare\nname: other'),
    'team.yaml:2:1 the key "name" stands twice in one map; remove or rename one',
  ],
  ['a tab', edited(workflow, '  lead:', '\tlead:'), 'team.yaml:9:1 a tab indents this line; use spaces'],
  ['a second document', `${workflow}---\nname: other\n`, 'team.yaml:34:1 a second document begins here; a team is one document: remove the line of dashes'],
  ['an unknown alias', edited(workflow, '[openai/gpt-4.1-mini]', '*models'), 'team.yaml:7:12 no anchor &models stands before *models'],
  [
    'an alias bomb',
    edited(
      workflow,
      'name: compare',
      `a: &a [x, x]\n${[...'bcdefghi'].map((name, index) => `${name}: &${name} [*${'abcdefgh'[index]}, *${'abcdefgh'[index]}]`).join('\n')}`,
    ),
    'team.yaml:1:1 aliases stand for more than a file may hold; write the values out',
  ],
  ['a tag', edited(workflow, 'role: an editor', 'role: !!js/function an editor'), 'team.yaml:11:11 a tag stands here; only plain values are allowed'],
  ['nesting without end', `name: ${'['.repeat(20_000)}`.slice(0, 20_000), 'team.yaml:1:1 nested too deeply'],
  ['a file too large', `${workflow}# ${'x'.repeat(1_000_000)}`, 'team.yaml:1:1 expected at most 1000000 bytes, found 1000653'],
  ['an empty file', '# nothing yet\n', 'team.yaml:1:1 expected a team, found nothing; begin with `name:`'],
  [
    'a bracket left open',
    edited(workflow, '[search_files, read_file]', '[search_files, read_file'),
    'team.yaml:16:3 flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['a quote left open', edited(workflow, 'Compare it.', '"Compare it.'), 'team.yaml:34:1 a quote is opened and never closed'],
  [
    'a colon in text',
    edited(workflow, 'Compare it.', 'Compare: it.'),
    'team.yaml:30:13 a second colon, or a wrong indentation; put text with a colon in quotes',
  ],
  [
    'text that begins with a reserved character',
    edited(workflow, 'Compare it.', '@reader, compare it.'),
    'team.yaml:30:13 text cannot begin with @; put it in quotes',
  ],
  ['a key that is a list', edited(workflow, 'budget:', '[a, b]: 1\nbudget:'), 'team.yaml:32:1 expected a key that is text'],
];

const shape: Mistake[] = [
  ['no map at all', 'hello\n', 'team.yaml:1:1 expected a map, found "hello"'],
  [
    'a mistyped key at the top',
    edited(workflow, 'budget:', 'bugdet:'),
    'team.yaml:32:1 bugdet: unknown key "bugdet"; known: name, description, task, inputs, models, scripts, prices, rate_limits, agents, topology, budget, limits; did you mean "budget"?',
  ],
  [
    'a mistyped key of an agent',
    edited(workflow, '    tools: [search', '    tool: [search'),
    'team.yaml:15:5 agents.reader.tool: unknown key "tool"; known: kind, external, role, goal, backstory, model, cheaper_model, budget, tools, output, strategy, handoffs and 1 more; did you mean "tools"?',
  ],
  [
    'a key that belongs to another kind',
    edited(workflow, '    role: an editor', '    role: an editor\n    tools: [read_file]'),
    'team.yaml:12:5 agents.lead.tools: unknown key "tools"; known: kind, role, goal, backstory, model, cheaper_model, budget, output, limits',
  ],
  [
    'a mistyped kind key',
    edited(workflow, 'kind: worker', 'knid: worker'),
    'team.yaml:13:5 agents.reader.knid: unknown key "knid"; known: kind, role, goal, backstory, model, cheaper_model, budget, output, limits, external, tools, strategy and 3 more; did you mean "kind"?',
  ],
  ['a missing kind', edited(workflow, '    kind: worker\n', ''), 'team.yaml:12:3 agents.reader.kind: missing; expected supervisor | worker | reviewer | team'],
  [
    'an unknown kind of agent',
    edited(workflow, 'kind: worker', 'kind: wroker'),
    'team.yaml:13:11 agents.reader.kind: expected supervisor | worker | reviewer | team, found "wroker"; did you mean "worker"?',
  ],
  [
    'an unknown kind of topology',
    edited(workflow, 'kind: workflow', 'kind: work flow'),
    'team.yaml:21:9 topology.kind: expected centralised | workflow | router | peers, found "work flow"; did you mean "workflow"?',
  ],
  ['a missing key', edited(workflow, '    role: a researcher\n', ''), 'team.yaml:12:3 agents.reader.role: missing; expected text'],
  ['no budget', edited(workflow, 'budget:\n  limit: 0.05\n', ''), 'team.yaml:1:1 budget: missing; expected a map'],
  ['an empty value', edited(workflow, 'role: a researcher', 'role:'), 'team.yaml:14:10 agents.reader.role: expected text, found nothing'],
  ['empty text', edited(workflow, 'role: a researcher', "role: ''"), 'team.yaml:14:11 agents.reader.role: expected text, found ""'],
  [
    'text for a number',
    edited(centralised, '  reviewer:', '  max_steps: six\n  reviewer:'),
    'team.yaml:24:14 topology.max_steps: expected a number, found "six"',
  ],
  [
    'what is no number',
    edited(edited(centralised, '  reviewer:', '  max_steps: .nan\n  concurrency: -.inf\n  reviewer:'), 'limit: 0.05', 'limit: .inf'),
    [
      'team.yaml:24:14 topology.max_steps: expected a number, found .nan',
      'team.yaml:25:16 topology.concurrency: expected a number, found -.inf',
      'team.yaml:28:10 budget.limit: expected dollars such as 0.05 or "0.15", nine decimals at most, found .inf',
    ].join('\n'),
  ],
  [
    'a fraction for a whole number',
    edited(centralised, '  reviewer:', '  max_steps: 1.5\n  reviewer:'),
    'team.yaml:24:14 topology.max_steps: expected a whole number, found 1.5',
  ],
  ['a number too small', edited(centralised, '  reviewer:', '  max_steps: 0\n  reviewer:'), 'team.yaml:24:14 topology.max_steps: expected at least 1, found 0'],
  [
    'a number too large',
    edited(centralised, '  reviewer:', '  concurrency: 65\n  reviewer:'),
    'team.yaml:24:16 topology.concurrency: expected at most 64, found 65',
  ],
  ['one name for a list', edited(centralised, '[reader]', 'reader'), 'team.yaml:23:12 topology.workers: expected a list, found "reader"'],
  ['an empty list', edited(centralised, '[reader]', '[]'), 'team.yaml:23:12 topology.workers: expected at least 1 entry, found an empty list'],
  [
    'a word that is none of the choices',
    edited(centralised, '  reviewer:', '  on_rejected: accept_with_notes\n  reviewer:'),
    'team.yaml:24:16 topology.on_rejected: expected accept_with_note | fail | ask | take_over | hand_up, found "accept_with_notes"; did you mean "accept_with_note"?',
  ],
  [
    'a name with a space',
    edited(workflow, 'name: compare', 'name: compare all'),
    'team.yaml:1:7 name: expected a name: a letter, then letters, digits, - or _ (48 at most), found "compare all"',
  ],
  [
    'an agent name with a dot',
    edited(workflow, '  lead:', '  lead.1:'),
    'team.yaml:9:3 agents["lead.1"]: expected a name: a letter, then letters, digits, - or _ (48 at most), found "lead.1"',
  ],
  [
    'a name that a map cannot hold',
    edited(workflow, 'agents:\n', 'agents:\n  __proto__: { kind: worker, role: a ghost }\n'),
    'team.yaml:9:3 agents.__proto__: "__proto__" cannot be a name; choose another',
  ],
  [
    'such a name in quotes, where others are unknown and where anything goes',
    edited(
      workflow,
      'agents:\n',
      'agents:\n  ghost: { kind: worker, role: a ghost, "__proto__": {}, output: { schema: { properties: { __proto__: {} } } } }\n',
    ),
    'team.yaml:9:41 agents.ghost.__proto__: "__proto__" cannot be a name; choose another\nteam.yaml:9:92 agents.ghost.output.schema.properties.__proto__: "__proto__" cannot be a name; choose another',
  ],
  [
    'a model without a provider',
    edited(workflow, '[openai/gpt-4.1-mini]', '[gpt-4.1-mini]'),
    'team.yaml:7:13 models.default[0]: expected a model as provider/name, such as openai/gpt-4.1-mini, found "gpt-4.1-mini"',
  ],
  [
    'a budget that is no amount',
    edited(workflow, '0.05', 'five cents'),
    'team.yaml:33:10 budget.limit: expected dollars such as 0.05 or "0.15", nine decimals at most, found "five cents"',
  ],
  [
    'a budget finer than money is',
    edited(workflow, '0.05', '0.00000000005'),
    'team.yaml:33:10 budget.limit: expected dollars such as 0.05 or "0.15", nine decimals at most, found 5e-11',
  ],
  [
    'a negative budget',
    edited(workflow, '0.05', '-1'),
    'team.yaml:33:10 budget.limit: expected dollars such as 0.05 or "0.15", nine decimals at most, found -1',
  ],
  [
    'an input that is both',
    edited(workflow, '{ text: budgets }', '{ text: budgets, folder: docs }'),
    'team.yaml:5:10 inputs.topic: expected either folder or text',
  ],
  [
    'a mistake behind a merge key',
    edited(
      edited(workflow, '    kind: worker\n', '    <<: &base { kind: worker, rolle: x }\n'),
      '  checker:',
      '  second:\n    <<: *base\n    role: another\n  checker:',
    ),
    [
      'team.yaml:13:31 agents.reader.rolle: unknown key "rolle"; known: kind, external, role, goal, backstory, model, cheaper_model, budget, tools, output, strategy, handoffs and 1 more; did you mean "role"?',
      'team.yaml:13:31 agents.second.rolle: unknown key "rolle"; known: kind, external, role, goal, backstory, model, cheaper_model, budget, tools, output, strategy, handoffs and 1 more; did you mean "role"?',
    ].join('\n'),
  ],
];

const meaning: Mistake[] = [
  [
    'an unknown supervisor',
    edited(workflow, 'supervisor: lead', 'supervisor: leed'),
    'team.yaml:22:15 topology.supervisor: unknown agent "leed"; known: lead; did you mean "lead"?',
  ],
  ['an unknown worker', edited(centralised, '[reader]', '[reader, writer]'), 'team.yaml:23:21 topology.workers[1]: unknown agent "writer"; known: reader'],
  [
    'an unknown reviewer',
    edited(workflow, 'reviewer: checker', 'reviewer: cheker'),
    'team.yaml:23:13 topology.reviewer: unknown agent "cheker"; known: checker; did you mean "checker"?',
  ],
  [
    'a worker that is called as the supervisor',
    edited(edited(centralised, '  reader:', '  supervisor:'), '[reader]', '[supervisor]'),
    'team.yaml:12:3 agents.supervisor: a worker cannot be called "supervisor"; give it a name of its own',
  ],
  [
    'an agent of the wrong kind',
    edited(centralised, '[reader]', '[reader, checker]'),
    'team.yaml:23:21 topology.workers[1]: expected an agent of kind worker or team, found "checker", a reviewer; of that kind: reader',
  ],
  ['a worker named twice', edited(centralised, '[reader]', '[reader, reader]'), 'team.yaml:23:21 topology.workers[1]: "reader" is in the list already'],
  [
    'an agent that nobody uses',
    edited(centralised, '  reviewer: checker\n', ''),
    'team.yaml:16:3 warning: agents.checker: nobody gives this agent anything to do; name it under topology, or remove it',
  ],
  [
    'an unknown agent of a step',
    edited(workflow, 'agent: reader', 'agent: raeder'),
    'team.yaml:26:14 topology.steps[0].agent: unknown agent "raeder"; known: reader; did you mean "reader"?',
  ],
  [
    'an unknown tool',
    edited(workflow, '[search_files, read_file]', '[search_file, read_file]'),
    'team.yaml:15:13 agents.reader.tools[0]: unknown tool "search_file"; known: list_files, search_files, read_file, check_quotes, now; did you mean "search_files"?',
  ],
  [
    'a tool named twice',
    edited(workflow, '[search_files, read_file]', '[read_file, read_file]'),
    'team.yaml:15:24 agents.reader.tools[1]: "read_file" is in the list already',
  ],
  [
    'a tool that a reviewer never calls',
    edited(workflow, '[check_quotes]', '[check_quotes, now]'),
    'team.yaml:19:27 warning: agents.checker.tools[1]: a reviewer never calls now; the one tool of a reviewer is check_quotes',
  ],
  [
    'a tool that reads folders where there is none',
    edited(edited(workflow, '  docs: { folder: docs }\n', ''), '[check_quotes]', '[]'),
    [
      'team.yaml:14:13 agents.reader.tools[0]: search_files reads folders, and no input is one; add one, such as inputs: { docs: { folder: ./docs } }',
      'team.yaml:14:27 agents.reader.tools[1]: read_file reads folders, and no input is one; add one, such as inputs: { docs: { folder: ./docs } }',
    ].join('\n'),
  ],
  [
    'an unknown model name',
    edited(workflow, 'role: an editor', 'role: an editor\n    model: defualt'),
    'team.yaml:12:12 agents.lead.model: unknown model "defualt"; known: default, openai/*, extractive/*; did you mean "default"?',
  ],
  [
    'an unknown provider',
    edited(workflow, '[openai/gpt-4.1-mini]', '[opneai/gpt-4.1-mini]'),
    'team.yaml:7:13 models.default[0]: unknown provider "opneai" of model "opneai/gpt-4.1-mini"; known: openai, extractive; did you mean "openai"?',
  ],
  [
    'a model that its provider does not have',
    edited(workflow, '[openai/gpt-4.1-mini]', '[extractive/clasic, extractive/nope]'),
    [
      'team.yaml:7:13 models.default[0]: unknown model "extractive/clasic"; known: extractive/classic; did you mean "extractive/classic"?',
      'team.yaml:7:32 models.default[1]: unknown model "extractive/nope"; known: extractive/classic',
    ].join('\n'),
  ],
  [
    'no models at all',
    edited(workflow, 'models:\n  default: [openai/gpt-4.1-mini]\n', ''),
    [
      'team.yaml:7:3 agents.lead.model: unknown model "default"; known: openai/*, extractive/*',
      'team.yaml:10:3 agents.reader.model: unknown model "default"; known: openai/*, extractive/*',
      'team.yaml:14:3 agents.checker.model: unknown model "default"; known: openai/*, extractive/*',
    ].join('\n'),
  ],
  [
    'a model without a price',
    edited(workflow, '[openai/gpt-4.1-mini]', '[openai/my-model, extractive/classic]'),
    'team.yaml:7:13 models.default[0]: no price is known for openai/my-model; write it under prices: { openai/my-model: { input: , output: } }, in dollars per million tokens',
  ],
  [
    'a model without a price, named twice',
    edited(workflow, '[openai/gpt-4.1-mini]', '[openai/my-model]\n  other: [openai/my-model]'),
    'team.yaml:7:13 models.default[0]: no price is known for openai/my-model; write it under prices: { openai/my-model: { input: , output: } }, in dollars per million tokens',
  ],
  [
    'an unknown cheaper model',
    edited(workflow, 'role: an editor', 'role: an editor\n    cheaper_model: defualt'),
    'team.yaml:12:20 agents.lead.cheaper_model: unknown model "defualt"; known: default, openai/*, extractive/*; did you mean "default"?',
  ],
  [
    'a cheaper model without a price',
    edited(workflow, 'role: an editor', 'role: an editor\n    cheaper_model: openai/my-model'),
    'team.yaml:12:20 agents.lead.cheaper_model: no price is known for openai/my-model; write it under prices: { openai/my-model: { input: , output: } }, in dollars per million tokens',
  ],
  [
    'a cheaper model that costs as much',
    edited(workflow, 'role: an editor', 'role: an editor\n    cheaper_model: default'),
    'team.yaml:12:20 warning: agents.lead.cheaper_model: "default" does not cost less than "default"; `troupe prices` says what models cost',
  ],
  [
    'a cheaper model with cheaper input and dearer output',
    edited(workflow, 'role: an editor', 'role: an editor\n    cheaper_model: openai/odd').replace(
      'agents:\n',
      'prices:\n  openai/odd: { input: 0.1, output: 9 }\nagents:\n',
    ),
    'team.yaml:14:20 warning: agents.lead.cheaper_model: "openai/odd" does not cost less than "default"; `troupe prices` says what models cost',
  ],
  [
    'a name that every object has',
    edited(workflow, 'supervisor: lead', 'supervisor: constructor'),
    'team.yaml:22:15 topology.supervisor: unknown agent "constructor"; known: lead',
  ],
  [
    'an unknown step',
    edited(workflow, 'needs: [find]', 'needs: [fnid]'),
    'team.yaml:31:15 topology.steps[1].needs[0]: unknown step "fnid"; known: find; did you mean "find"?',
  ],
  [
    'two steps of one name',
    edited(workflow, 'id: compare', 'id: find'),
    'team.yaml:28:11 topology.steps[1].id: two steps are called "find"; step 1 is one already',
  ],
  [
    'a step that needs itself',
    edited(workflow, 'needs: [find]', 'needs: [find, compare]'),
    'team.yaml:31:21 topology.steps[1].needs[1]: step "compare" needs itself',
  ],
  [
    'steps that wait for each other',
    edited(workflow, 'task: Find what is said about {topic}.', 'task: Find {topic}.\n      needs: [compare]'),
    'team.yaml:28:15 topology.steps[0].needs[0]: these steps wait for each other: find -> compare -> find; remove one of the needs',
  ],
  [
    'two cycles',
    edited(workflow, 'needs: [find]', 'needs: [find, last]\n    - { id: last, agent: reader, task: Go on., needs: [compare, find] }').replace(
      'task: Find what is said about {topic}.',
      'task: Find {topic}.\n      needs: [last]',
    ),
    [
      'team.yaml:28:15 topology.steps[0].needs[0]: these steps wait for each other: find -> last -> compare -> find; remove one of the needs',
      'team.yaml:32:21 topology.steps[1].needs[1]: these steps wait for each other: compare -> last -> compare; remove one of the needs',
    ].join('\n'),
  ],
  ['a need named twice', edited(workflow, 'needs: [find]', 'needs: [find, find]'), 'team.yaml:31:21 topology.steps[1].needs[1]: "find" is in the list already'],
  [
    'a budget too small for one call',
    edited(workflow, '0.05', '0.0001'),
    'team.yaml:33:10 budget.limit: $0.0001 is too little for any call: the cheapest, one of lead to openai/gpt-4.1-mini, needs at least $0.0001424; raise it, or name a cheaper model',
  ],
  ['nothing, beside a shared account', edited(workflow, 'limit: 0.05', 'limit: 0.05\n  account: acme'), ''],
  [
    'rules that a shared account has itself',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  account: acme\n  on_exhausted: fail\n  orphans: ask\n  thresholds: [90]'),
    [
      'team.yaml:35:17 warning: budget.on_exhausted: account acme is shared and has a rule of its own for this; remove it, or the account',
      'team.yaml:36:12 warning: budget.orphans: account acme is shared and has a rule of its own for this; remove it, or the account',
      'team.yaml:37:15 warning: budget.thresholds: account acme is shared and has a rule of its own for this; remove it, or the account',
    ].join('\n'),
  ],
  [
    'money kept back for no closing answer',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  keep_back: 0.01'),
    'team.yaml:34:14 warning: budget.keep_back: nothing is kept back with on_exhausted: pause; write on_exhausted: answer, or remove it',
  ],
  [
    'all the money kept back',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  on_exhausted: answer\n  keep_back: 0.05'),
    'team.yaml:35:14 budget.keep_back: $0.0500 leaves nothing of the limit, $0.0500, to work with; keep less back',
  ],
  [
    'more set aside for each agent than there is',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  open_up_to: 0.05'),
    'team.yaml:34:15 budget.open_up_to: $0.0500 leaves nothing of the limit, $0.0500, to ask for; set less aside for each agent',
  ],
  [
    'money set aside where calls are counted as well',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  calls: 90\n  open_up_to: 0.01'),
    'team.yaml:35:15 warning: budget.open_up_to: nothing is set aside beside budget.calls: while nobody answers, only money could be counted; remove one of the two',
  ],
  [
    'nothing kept back for a closing answer',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  on_exhausted: answer'),
    'team.yaml:32:1 budget.keep_back: $0.0000 is too little for a closing answer: the cheapest, one of lead to openai/gpt-4.1-mini, needs at least $0.0001424; keep more back',
  ],
  [
    'slices that are more than there is, the supervisor’s too',
    edited(
      edited(workflow, 'role: an editor', 'role: an editor\n    budget: { slice: 0.02 }'),
      'role: a researcher',
      'role: a researcher\n    budget: { slice: 0.04 }',
    ),
    'team.yaml:16:22 agents.reader.budget.slice: a slice of $0.0400 is more than the $0.0300 that keep_back and the slices before it leave of the limit, $0.0500; raise budget.limit, or make a slice smaller',
  ],
  [
    'a slice of what is kept back',
    edited(
      edited(workflow, 'role: a researcher', 'role: a researcher\n    budget: { slice: 0.04 }'),
      'limit: 0.05',
      'limit: 0.05\n  on_exhausted: answer\n  keep_back: 0.02',
    ),
    'team.yaml:15:22 agents.reader.budget.slice: a slice of $0.0400 is more than the $0.0300 that keep_back and the slices before it leave of the limit, $0.0500; raise budget.limit, or make a slice smaller',
  ],
  [
    'a slice that leaves nothing to those without one',
    edited(workflow, 'role: a researcher', 'role: a researcher\n    budget: { slice: 0.04999 }'),
    'team.yaml:34:10 budget.limit: $0.00001 is too little for any call of the agents without a slice: it is what slices and keep_back leave of the limit, and the cheapest, one of lead to openai/gpt-4.1-mini, needs at least $0.0001424; raise it, or make a slice smaller',
  ],
  [
    'a slice below one call',
    edited(workflow, 'role: a researcher', 'role: a researcher\n    budget: { slice: 0.0001 }'),
    'team.yaml:15:22 agents.reader.budget.slice: $0.0001 is too little for any call: the cheapest, one of reader to openai/gpt-4.1-mini, needs at least $0.0001424; raise it, or name a cheaper model',
  ],
  [
    'a limit of the supervisor below one call',
    edited(workflow, 'role: an editor', 'role: an editor\n    budget: { limit: 0.0001 }'),
    'team.yaml:12:22 agents.lead.budget.limit: $0.0001 is too little for any call: the cheapest, one of lead to openai/gpt-4.1-mini, needs at least $0.0001424; raise it, or name a cheaper model',
  ],
  [
    'a limit of an agent above that of the run',
    edited(workflow, 'role: a researcher', 'role: a researcher\n    budget: { limit: 1 }'),
    'team.yaml:15:22 warning: agents.reader.budget.limit: $1.0000 can never be reached: the run has $0.0500; lower it, or remove it',
  ],
  [
    'a slice and a limit',
    edited(workflow, 'role: a researcher', 'role: a researcher\n    budget: { slice: 0.01, limit: 0.01 }'),
    'team.yaml:15:13 agents.reader.budget: expected slice or limit, not both',
  ],
  [
    'fewer seconds than a call may take, and fewer tokens than an answer has',
    edited(edited(workflow, 'limit: 0.05', 'limit: 0.05\n  call_s: 119'), 'role: a researcher', 'role: a researcher\n    budget: { tokens: 63, call_s: 120 }'),
    [
      'team.yaml:15:23 agents.reader.budget.tokens: 63 tokens are too few for any call: the shortest answer alone has 64; raise it',
      'team.yaml:35:11 budget.call_s: 119 s is too little for any call: each may take 120 s at least; raise it, or lower limits.timeout_s',
    ].join('\n'),
  ],
  [
    'a grant shorter than a call',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  grant_timeout_s: 60'),
    [
      'team.yaml:9:3 warning: agents.lead.limits.timeout_s: a call may take 120 s, but a permission to spend holds 60 s; raise budget.grant_timeout_s above 120',
      'team.yaml:12:3 warning: agents.reader.limits.timeout_s: a call may take 120 s, but a permission to spend holds 60 s; raise budget.grant_timeout_s above 120',
      'team.yaml:16:3 warning: agents.checker.limits.timeout_s: a call may take 120 s, but a permission to spend holds 60 s; raise budget.grant_timeout_s above 120',
    ].join('\n'),
  ],
  [
    'a grant as long as a call',
    edited(workflow, 'limit: 0.05', 'limit: 0.05\n  grant_timeout_s: 120'),
    [
      'team.yaml:9:3 warning: agents.lead.limits.timeout_s: a call may take 120 s, but a permission to spend holds 120 s; raise budget.grant_timeout_s above 120',
      'team.yaml:12:3 warning: agents.reader.limits.timeout_s: a call may take 120 s, but a permission to spend holds 120 s; raise budget.grant_timeout_s above 120',
      'team.yaml:16:3 warning: agents.checker.limits.timeout_s: a call may take 120 s, but a permission to spend holds 120 s; raise budget.grant_timeout_s above 120',
    ].join('\n'),
  ],
  [
    'a placeholder without an input',
    edited(workflow, 'about {topic}.\n    - id', 'about {topics}, {topics}.\n    - id'),
    'team.yaml:27:13 topology.steps[0].task: no input is called "topics" (write {{topics}} for the word in braces); known: docs, topic; did you mean "topic"?',
  ],
  [
    'an input that nothing uses',
    edited(workflow, 'inputs:', 'inputs:\n  extra: { text: something }'),
    'team.yaml:4:3 warning: inputs.extra: no text has {extra} in it; use it, or remove it',
  ],
  [
    'a folder that is not there',
    edited(workflow, 'folder: docs', 'folder: ./dcos'),
    'team.yaml:4:19 inputs.docs.folder: expected a folder, found nothing at <dir>/dcos; create it, or give another with --input docs=path',
  ],
  [
    'a folder that is a file',
    edited(workflow, 'folder: docs', 'folder: notes.md'),
    'team.yaml:4:19 inputs.docs.folder: expected a folder, found a file at <dir>/notes.md; create it, or give another with --input docs=path',
  ],
  [
    'several mistakes, in the order of the file',
    edited(edited(edited(workflow, 'needs: [find]', 'needs: [fnid]'), 'supervisor: lead', 'supervisor: reader'), '[search_files', '[serach_files'),
    [
      'team.yaml:15:13 agents.reader.tools[0]: unknown tool "serach_files"; known: list_files, search_files, read_file, check_quotes, now; did you mean "search_files"?',
      'team.yaml:22:15 topology.supervisor: expected an agent of kind supervisor, found "reader", a worker; of that kind: lead',
      'team.yaml:31:15 topology.steps[1].needs[0]: unknown step "fnid"; known: find; did you mean "find"?',
    ].join('\n'),
  ],
];

const routing: Mistake[] = [
  [
    'no route at all',
    edited(router, /routes:\n.*\n.*\n/.exec(router)![0], 'routes: []\n'),
    'team.yaml:19:11 topology.routes: expected at least 1 entry, found an empty list',
  ],
  [
    'a route to nobody',
    edited(router, 'agent: writer', 'agent: wirter'),
    'team.yaml:21:16 topology.routes[1].agent: unknown agent "wirter"; known: reader, writer; did you mean "writer"?',
  ],
  [
    'two routes to one agent',
    edited(router, 'agent: writer', 'agent: reader'),
    'team.yaml:21:16 topology.routes[1].agent: "reader" has a route already; say all that is for it in one `when`',
  ],
  [
    'a fallback that is not named',
    edited(router, 'budget:', '  on_unknown: fallback\nbudget:'),
    'team.yaml:22:15 topology.on_unknown: no fallback is named for what is for nobody; add fallback: with an agent, or write on_unknown: fail',
  ],
  [
    'nobody whom a person could be asked about',
    edited(router, 'budget:', '  on_unknown: ask\nbudget:'),
    'team.yaml:22:15 topology.on_unknown: no fallback is named that a person could be asked about, where the task is for nobody; add fallback: with an agent, or write on_unknown: fail',
  ],
  [
    'a fallback that is never asked',
    edited(router, 'budget:', '  on_unknown: fail\n  fallback: reader\nbudget:'),
    'team.yaml:23:3 warning: topology.fallback: the fallback is never asked with on_unknown: fail; remove one of them',
  ],
  [
    'a fallback that is no worker',
    edited(router, 'budget:', '  fallback: lead\nbudget:'),
    'team.yaml:22:13 topology.fallback: expected an agent of kind worker or team, found "lead", a supervisor; of that kind: reader, writer',
  ],
  [
    'a confidence that is none',
    edited(router, 'budget:', '  confidence_from: 60\nbudget:'),
    'team.yaml:22:20 topology.confidence_from: expected at most 1, found 60',
  ],
  [
    'a plan that may be changed without end',
    edited(centralised, 'budget:', '  replan: { max: 100 }\nbudget:'),
    'team.yaml:25:18 topology.replan.max: expected at most 16, found 100',
  ],
];

describe.each([
  ['syntax', syntax],
  ['shape', shape],
  ['meaning', meaning],
  ['routing and replanning', routing],
])('%s', (_, mistakes) => {
  test.each(mistakes)('%s', async (_what, text, said) => {
    expect(await problemsOf(text)).toBe(said);
  });
});

describe('a budget that is given beside the file', () => {
  const sliced = edited(workflow, 'role: a researcher', 'role: a researcher\n    budget: { slice: 0.04 }');
  const load = async (text: string, budget: string) => {
    await folder.write(text);
    return loadTeam('team.yaml', { cwd: folder.path, catalogue, budget });
  };

  test.each([
    ['0', workflow, 'BUDGET_TOO_SMALL', /^--budget 0: \$0\.0000 is too little for any call/],
    ['0.01', sliced, 'BUDGET_NOT_COVERED', /^--budget 0\.01: agents\.reader\.budget\.slice: a slice of \$0\.0400 is more than the \$0\.0100/],
    ['0', edited(workflow, '0.05', '0'), 'BUDGET_TOO_SMALL', /^--budget 0: /],
  ])('%s is blamed itself, not the file', async (budget, text, code, message) => {
    await expect(load(text, budget)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  test('the file is blamed for its own mistakes, and what it has too little of may be given', async () => {
    await expect(load(edited(workflow, 'supervisor: lead', 'supervisor: leed'), '0')).rejects.toMatchObject({ code: 'TEAM_FILE_INVALID' });
    expect((await load(edited(workflow, '0.05', '0'), '0.05')).warnings).toEqual([]);
  });
});
