/** `troupe chart`: the chart that runs, as Mermaid. */
import { mermaidOf } from '../observe/mermaid.ts';
import { TroupeError } from '../protocols/failure.ts';
import { charts } from '../topology/charts.ts';
import { EXIT, print, printJson } from './exit.ts';

export const chart = async (actor: string | undefined, { json }: { readonly json: boolean }): Promise<number> => {
  const names = Object.keys(charts);
  if (actor === undefined) {
    if (json) printJson({ charts: names });
    else print(names.join('\n'));
    return EXIT.done;
  }
  if (!Object.hasOwn(charts, actor)) throw new TroupeError('CHART_UNKNOWN', `no actor is called "${actor}"; there are ${names.join(', ')}`);
  const mermaid = mermaidOf(charts[actor as keyof typeof charts].machine);
  if (json) printJson({ chart: actor, mermaid });
  else print(mermaid);
  return EXIT.done;
};
