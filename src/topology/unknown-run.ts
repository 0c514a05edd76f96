/** The one way to say that a run is not there. */
import type { Bus } from '../bus/port.ts';
import { TroupeError } from '../protocols/failure.ts';

export const unknownRun = (bus: Bus, run: string): TroupeError =>
  new TroupeError('RUN_UNKNOWN', `no run ${run} on ${bus.name}; \`troupe runs\` with the same --bus lists those that are there`);
