/**
 * Every waiting state of every chart has a way out that needs no success. What a chart's file says is held here; that the walks
 * really take such a way out of each state is held by the test of the chart.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMachine } from 'xstate';
import { defineChart } from '../../src/runtime/chart.ts';
import { charts } from '../../src/topology/charts.ts';
import { watchWaysOut, withoutWayOut } from '../support/ways-out.ts';

describe.each(Object.values(charts))('the chart $name', (chart) => {
  it('has an error, a cancel or a deadline out of every state in which it waits', () => {
    expect(withoutWayOut(chart)).toEqual([]);
  });

  it('has a walk that holds it to taking them', () => {
    const walk = join(import.meta.dirname, `${chart.name}.test.ts`);
    expect(existsSync(walk) && readFileSync(walk, 'utf8')).toContain('expect(trapped()).toEqual([])');
  });
});

describe('a chart with a state in which it may be stuck', () => {
  const stuck = defineChart(
    'stuck',
    1,
    createMachine({
      id: 'stuck',
      initial: 'idle',
      states: {
        idle: { on: { 'task.assign': 'asking', 'run.start': 'working' } },
        asking: { on: { 'approval.decided': 'done' } },
        working: { on: { 'task.completed': 'done', 'task.cancel': 'done' } },
        done: { type: 'final' },
      },
    }),
  );

  it('is found out as it stands, by the name of the state', () => {
    expect(withoutWayOut(stuck)).toEqual(['stuck.asking']);
  });

  it('is found out by a walk that never takes the way that there is', () => {
    const { chart, trapped } = watchWaysOut(stuck);
    const [idle] = chart.initial(undefined);
    const [working] = chart.transition(idle, { type: 'run.start' });
    chart.transition(working, { type: 'task.completed' });
    expect(trapped()).toEqual(['stuck.working']);
    chart.transition(working, { type: 'task.cancel' });
    expect(trapped()).toEqual([]);
  });
});
