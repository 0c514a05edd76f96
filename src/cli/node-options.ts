/**
 * What Node is told when Troupe is what it runs. V8 takes it only before it begins, so a process cannot tell itself: `troupe up`
 * tells the processes that it starts, and the image and `npm start` say the same.
 */

/** The young generation grows no further than pays: a process of a thousand runs takes a quarter less memory. */
export const NODE_OPTION = '--max-semi-space-size=16';

/** NODE_OPTIONS for a process of Troupe, before what there is: of an option that is given twice the last one counts. */
export const nodeOptions = (own: string | undefined): string => (own ? `${NODE_OPTION} ${own}` : NODE_OPTION);
