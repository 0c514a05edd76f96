/** `troupe doctor`: what a run needs and what is there, a line each. Keys are said to be there or not, and never shown. */
import { openBus } from '../bus/open.ts';
import { failureOf } from '../protocols/failure.ts';
import { standardModels, standardPrices } from '../topology/standard.ts';
import { EXIT, print, printJson } from './exit.ts';
import { version } from './version.ts';

/** `wrong`: somebody set it, and not as it has to be. */
type Finding = { readonly what: string; readonly state: 'ok' | 'missing' | 'wrong'; readonly said: string };

export const doctor = async ({ bus, json }: { readonly bus: string; readonly json: boolean }): Promise<number> => {
  const findings = [node(), ...(await busFindings(bus)), ...models(), prices()];
  if (json) {
    printJson({ version, findings });
  } else {
    print(`troupe ${version}`);
    for (const { what, state, said } of findings) print(`${state.padEnd(7)}  ${what.padEnd(18)} ${said}`);
  }
  return findings.some(({ what, state }) => state === 'wrong' || (state === 'missing' && what === 'bus')) ? EXIT.failed : EXIT.done;
};

const node = (): Finding => ({ what: 'node', state: 'ok', said: `${process.version} (22.18 or newer is needed)` });

/** Opens it, and writes and reads a key: what a run would do first. */
const busFindings = async (address: string): Promise<Finding[]> => {
  try {
    const bus = await openBus(address);
    try {
      const key = `doctor.${crypto.randomUUID()}`;
      const began = performance.now();
      await bus.put(key, 'x');
      await bus.delete(key);
      const ms = (performance.now() - began) / 2;
      const about = Object.entries(await bus.about()).map(([what, said]): Finding => ({ what, state: 'ok', said }));
      return [{ what: 'bus', state: 'ok', said: `${bus.name}, a write takes ${ms.toFixed(1)} ms` }, ...about];
    } finally {
      await bus.close();
    }
  } catch (thrown) {
    return [{ what: 'bus', state: 'missing', said: failureOf(thrown).message }];
  }
};

const models = (): Finding[] =>
  standardModels().map((model) => {
    const missing = model.ready?.();
    const state = missing === undefined ? 'ok' : missing.code === 'MODEL_SETTING_INVALID' ? 'wrong' : 'missing';
    return { what: `model ${model.provider}`, state, said: missing ? missing.message : 'can be called' };
  });

const prices = (): Finding => {
  const { version: of, known, hash } = standardPrices();
  return { what: 'prices', state: 'ok', said: `${known.length} of ${of}, hash ${hash.slice(0, 12)}` };
};
