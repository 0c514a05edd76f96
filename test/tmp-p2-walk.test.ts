import { test, vi } from 'vitest';
import * as cw from './support/chart-walk.ts';
vi.mock('./support/chart-walk.ts', async (orig) => {
  const real = await orig<typeof cw>();
  return { ...real, pathsOf: (w: cw.Walk) => { const i = w.definition.input as any; if (i.replans === undefined && i.team === undefined) return []; const t = Date.now(); try { const p = real.pathsOf(w); console.error('WALK', p.length, Date.now() - t, i.plan?.length, i.routing?.onUnknown, i.profile.limits.attempts); return p; } catch (e) { console.error('WALK fails', String(e), Date.now() - t); return []; } } };
});
test('x', async () => { await import('./model/supervisor.test.ts').catch((e) => console.error(String(e).slice(0,300))); }, 500000);
