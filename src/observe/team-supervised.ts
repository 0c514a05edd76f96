/**
 * Teams with a supervisor, as the picture of a team has them: who is given work and on what rule, who judges it, who may hand it
 * over to whom, and teams inside the team, each a frame with a supervisor, reviewers and money of its own.
 */
import { reachedFrom } from '../topology/handoffs.ts';
import type { Supervised, TeamAgent } from '../topology/team.ts';
import { phrase, type Arrow, type Box, type Line } from './picture/drawing.ts';
import {
  agentBox,
  alone,
  moneyLines,
  party,
  saidBetween,
  seatOf,
  seatTogether,
  spoken,
  talk,
  timesInWords,
  type Parts,
  type Scene,
  type Seat,
} from './team-scene.ts';

/** Somebody who is given work, or several at once, and on what rule. */
type Member = { readonly names: readonly string[]; readonly rule?: Line };

/** `led`: the team inside the run's that it is. */
export const supervised = (scene: Scene, topology: Supervised, led?: string): Parts => {
  const { supervisor, reviewers, onRejected } = topology;
  const { agents } = scene.team;
  const lead = seatOf(scene, supervisor);
  const head: Seat = led === undefined ? lead : { ...lead, names: [led, supervisor] };
  const teams = membersOf(topology).flatMap(({ names, rule }) => names.filter((name) => agents[name]!.kind === 'team').map((name) => ({ name, rule })));
  const inner = teams.length > TEAMS_APART_MAX ? [innerTeams(scene, teams, head)] : teams.map(({ name, rule }) => innerTeam(scene, name, head, rule));
  const people = workforce(scene, topology, head);
  const [judges, judgeBoxes] = seatTogether(scene, 'reviewers', reviewers, [{ phrases: [phrase(MERGES[topology.merge], 'guard')] }]);
  return {
    how: howOf(topology),
    head,
    all: [...head.names, ...people.all, ...reviewers, ...inner.flatMap(({ all }) => all)],
    asking: [
      ...(onRejected === 'ask' || (topology.kind === 'router' && topology.onUnknown === 'ask') ? [head] : []),
      ...(reviewers.some((name) => mayAsk(agents[name]!)) ? [judges] : []),
      ...inner.flatMap(({ asking }) => asking),
    ],
    boxes: [
      agentBox(scene, head, [...choosingLines(topology), ...rejectedLines(scene, head, onRejected)]),
      ...people.boxes,
      ...inner.flatMap(({ boxes }) => boxes),
      ...judgeBoxes,
    ],
    arrows: [
      ...people.arrows,
      ...inner.flatMap(({ arrows }) => arrows),
      ...(reviewers.length === 0
        ? []
        : [talk(scene, { from: head, to: judges, says: ['review.request', 'task.cancel'], hears: ['review.verdict', 'review.failed'] })]),
    ],
  };
};

const howOf = (topology: Supervised): string => {
  const { supervisor, concurrency } = topology;
  switch (topology.kind) {
    case 'centralised': {
      const { maxSteps, replans = 0 } = topology;
      const changes = replans > 0 ? `, with ${replans} ${replans === 1 ? 'change' : 'changes'} of it at most` : '';
      return `${supervisor} makes a plan of at most ${maxSteps} steps and carries it out, ${concurrency} at once${changes}`;
    }
    case 'workflow':
      return topology.steps.length === 1
        ? `${supervisor} has the one step of the file carried out`
        : `${supervisor} carries out the ${topology.steps.length} steps of the file, ${concurrency} at once`;
    case 'router':
      return `${supervisor} chooses who does the task, from ${topology.routes.length} routes`;
  }
};

const MERGES: Readonly<Record<Supervised['merge'], string>> = {
  all: 'all of them must accept',
  majority: 'more than half must accept',
  any: 'one must accept',
};

const mayAsk = (agent: TeamAgent): boolean => agent.kind === 'reviewer' && agent.askBelow > 0;

/** Which choice of a router counts. */
const choosingLines = (topology: Supervised): Line[] => {
  if (topology.kind !== 'router') return [];
  const { confidenceFrom, onUnknown } = topology;
  const otherwise = { fallback: 'else the fallback', fail: 'else the run fails', ask: 'else a person is asked' }[onUnknown];
  return [{ phrases: [phrase(`chooses with a confidence of ${confidenceFrom.toFixed(2)} or more,`), phrase(otherwise, 'muted')] }];
};

const rejectedLines = (scene: Scene, head: Seat, rule: Supervised['onRejected']): Line[] => {
  switch (rule) {
    case 'take_over': {
      const told = spoken(scene, 'what is rejected in the end it does itself, as a worker', head, head, [
        'task.assign',
        'task.cancel',
        'task.completed',
        'task.failed',
      ]);
      return [told.line];
    }
    case 'hand_up':
      return [{ phrases: [phrase('what is rejected in the end goes to the supervisor above', 'muted')] }];
    case 'ask':
      return [{ phrases: [phrase('what is rejected in the end a person decides', 'muted')] }];
    case 'accept_with_note':
    case 'fail':
      return [];
  }
};

/** So many routes are drawn as an arrow each; of more, the box of each agent says what is for it. */
const ROUTES_APART_MAX = 8;

/** Whom steps are given to: those who are alike together. */
const membersOf = (topology: Supervised): Member[] => {
  switch (topology.kind) {
    case 'centralised':
      return [{ names: topology.workers }];
    case 'workflow':
      return [{ names: [...new Set(topology.steps.flatMap(({ agent, fallback }) => [agent, ...(fallback === undefined ? [] : [fallback])]))] }];
    case 'router': {
      const { routes, fallback } = topology;
      const rules = new Map(routes.map(({ agent, when }) => [agent, [phrase('for'), phrase(when, 'guard')]]));
      if (fallback !== undefined)
        rules.set(fallback, [...(rules.get(fallback) ?? []), phrase('fallback', 'name'), phrase('for what is for nobody else', 'muted')]);
      return [...rules].map(([name, phrases]) => ({ names: [name], rule: { sign: 'always', phrases } }));
    }
  }
};

const ASSIGNING = { says: ['task.assign', 'task.cancel'], hears: ['task.completed', 'task.failed'] } as const;

/** Those of the members who are no teams, and whom their work may come to. */
const workforce = (scene: Scene, topology: Supervised, head: Seat): Pick<Parts, 'all' | 'boxes' | 'arrows'> => {
  const { agents } = scene.team;
  const members = membersOf(topology)
    .map((member) => ({ ...member, names: member.names.filter((name) => agents[name]!.kind !== 'team') }))
    .filter(({ names }) => names.length > 0);
  const asked = members.flatMap(({ names }) => names);
  const all = reachedFrom(asked, (name) => handoffsOf(agents[name]!)?.to ?? []);
  const passing = handoffArrows(scene, all, head);
  const hears = [...ASSIGNING.hears, ...(passing.length > 0 ? (['task.handed_over'] as const) : [])];
  const channel = { from: head, says: ASSIGNING.says, hears };

  if (members.length > 1 && all.length <= ROUTES_APART_MAX) {
    const rest = all.filter((name) => !asked.includes(name)).map((name): Member => ({ names: [name] }));
    return {
      all,
      boxes: all.map((name) => agentBox(scene, seatOf(scene, name))),
      arrows: [...[...members, ...rest].map(({ names, rule }) => talk(scene, { ...channel, to: seatOf(scene, names[0]!), ...(rule && { rule }) })), ...passing],
    };
  }
  const rules = new Map(members.flatMap(({ names, rule }) => (rule ? names.map((name) => [name, [rule]] as const) : [])));
  if (passing.length === 0 && rules.size === 0) {
    const [workers, boxes] = seatTogether(scene, 'workers', all);
    return { all, boxes, arrows: boxes.length === 0 ? [] : [talk(scene, { ...channel, to: workers })] };
  }
  const to: Seat = { box: `${scene.within}(workers)`, title: 'workers', names: all };
  const boxes = all.map((name) => agentBox(scene, seatOf(scene, name), rules.get(name)));
  const title = `${all.length} ${all.length === 1 ? 'worker' : 'workers'}`;
  const holder = { id: to.box, title, lines: [], accents: [] };
  // In a group nobody can be pointed at: those who may hand over, or be handed over to, stand beside the rest.
  const pointedAt = new Set(passing.flatMap((arrow) => [arrow.from, arrow.to]));
  const [apart, rest] = [boxes.filter(({ id }) => pointedAt.has(id)), boxes.filter(({ id }) => !pointedAt.has(id))];
  const others: Box = { ...holder, id: `${scene.within}(others)`, kind: 'group', title: `${rest.length} others`, children: rest };
  return {
    all,
    boxes: [
      passing.length === 0
        ? { ...holder, kind: 'group', children: boxes }
        : { ...holder, kind: 'frame', children: [...apart, ...(rest.length < 2 ? rest : [others])] },
    ],
    arrows: [talk(scene, { ...channel, to }), ...passing],
  };
};

const handoffsOf = (agent: TeamAgent) => (agent.kind === 'worker' || agent.kind === 'external' ? agent.handoffs : undefined);

/** From each to those whom it may hand its work over to; two who may do so to each other have one arrow. */
const handoffArrows = (scene: Scene, names: readonly string[], head: Seat): Arrow[] => {
  const arrows = new Map<string, Arrow>();
  for (const name of names) {
    const handoffs = handoffsOf(scene.team.agents[name]!);
    for (const to of handoffs?.to ?? []) {
      const times = saidBetween(scene, seatOf(scene, name), head, 'task.handed_over').filter(({ agent }) => agent === to).length;
      const line: Line = {
        sign: 'says',
        phrases: [phrase(`${name} hands over${timesInWords(times)}`), phrase(`with ${passInWords(handoffs!.pass)}, ${handoffs!.max} times at most`, 'muted')],
      };
      const back = arrows.get(`${to} hands over to ${name}`);
      const accents = times > 0 ? (['taken'] as const) : [];
      if (back) arrows.set(back.id, { ...back, lines: [...back.lines, line], accents: [...new Set([...back.accents, ...accents])], both: true });
      else {
        const id = `${name} hands over to ${to}`;
        arrows.set(id, { id, from: seatOf(scene, name).box, to: seatOf(scene, to).box, lines: [line], accents });
      }
    }
  }
  return [...arrows.values()].map((arrow) => ({ ...arrow, id: `${scene.within}${arrow.id}` }));
};

const passInWords = (pass: NonNullable<ReturnType<typeof handoffsOf>>['pass']): string => {
  if (pass === 'all') return 'all that was said';
  return pass === 'without_tools' ? 'what was said without tools' : `the last ${pass.last} messages`;
};

type Within = { readonly name: string; readonly rule: Line | undefined };
type InnerParts = Omit<Parts, 'how' | 'head'>;

/** So many teams have an arrow each; more stand in a group. */
const TEAMS_APART_MAX = 3;

const TO_TEAMS = [...ASSIGNING.says, 'budget.paused', 'budget.raised'] as const;

const innerTeams = (scene: Scene, teams: readonly Within[], above: Seat): InnerParts => {
  const id = `${scene.within}(teams)`;
  const parts = teams.map(({ name, rule }) => innerTeam(scene, name, undefined, rule));
  const all = parts.flatMap((one) => one.all);
  const group: Seat = { box: id, title: 'teams', names: all };
  return {
    all,
    asking: parts.some(({ asking }) => asking.length > 0) ? [group] : [],
    boxes: [{ id, kind: 'group', title: `${teams.length} teams`, lines: [], children: parts.flatMap(({ boxes }) => boxes), accents: [] }],
    arrows: [talk(scene, { from: above, to: group, says: TO_TEAMS, hears: ASSIGNING.hears }), ...parts.flatMap(({ arrows }) => arrows)],
  };
};

/** A team inside the team, and what it and the supervisor above say to each other, where that is said of it alone. */
const innerTeam = (scene: Scene, name: string, above: Seat | undefined, rule: Line | undefined): InnerParts => {
  const agent = scene.team.agents[name]!;
  const seat = seatOf(scene, name);
  const heard = (to: Seat): Arrow[] => (above ? [talk(scene, { from: above, to, ...(rule && { rule }), says: TO_TEAMS, hears: ASSIGNING.hears })] : []);
  if (agent.kind !== 'team') throw new Error(`expected a team, found the ${agent.kind} ${name}`);
  // A team that has a part in itself is drawn once.
  if (`/${scene.within}`.includes(`/${name}/`)) {
    const again = alone(`${seat.box}/(again)`, name, [name]);
    return {
      all: [name],
      asking: [],
      boxes: [party(again, [{ phrases: [phrase('team', 'guard'), phrase('the same again', 'muted')] }])],
      arrows: heard(again),
    };
  }
  const parts = supervised({ ...scene, within: `${seat.box}/` }, agent.topology, name);
  const frame: Box = {
    id: `${seat.box}/(team)`,
    kind: 'frame',
    title: name,
    lines: [
      { phrases: [phrase('team', 'guard'), phrase(agent.role)] },
      { phrases: [phrase(agent.topology.kind, 'name'), phrase(parts.how, 'muted')] },
      ...moneyLines(agent.budget),
      ...(above || !rule ? [] : [rule]),
    ],
    children: parts.boxes,
    accents: [],
  };
  return {
    all: [name, ...parts.all],
    asking: parts.asking,
    boxes: [frame],
    arrows: [...heard(parts.head), ...parts.arrows],
  };
};
