/** What several reviewers make of one attempt, merged by rule. Pure. */
import type { Citation, Verdict } from '../../protocols/formats.ts';

/** How many of the reviewers must accept. */
export type Merge = 'all' | 'majority' | 'any';

/** What one reviewer said; `none`: the review could not be made. `held` are the citations as it found them. */
export type Review = {
  readonly reviewer: string;
  readonly verdict: Verdict['verdict'] | 'none';
  readonly reasons: readonly string[];
  readonly held?: readonly (Citation | null)[] | undefined;
};

export const accepts = (merge: Merge, reviews: readonly Review[]): boolean => {
  const accepting = reviews.filter(({ verdict }) => verdict === 'accept').length;
  switch (merge) {
    case 'all':
      return accepting === reviews.length;
    case 'majority':
      return accepting * 2 > reviews.length;
    case 'any':
      return accepting > 0;
  }
};

/** The reasons of those who did not accept. Of several reviewers each is told with its reviewer. */
export const objectionsOf = (reviews: readonly Review[]): string[] =>
  reviews
    .filter(({ verdict }) => verdict !== 'accept')
    .flatMap(({ reviewer, verdict, reasons }) =>
      (reasons.length > 0 ? reasons : [`the review says "${verdict}"`]).map((reason) => (reviews.length > 1 ? `${reviewer}: ${reason}` : reason)),
    );

/** Whether another attempt may be worth it: somebody has said what is wrong. */
export const asksForMore = (reviews: readonly Review[]): boolean => reviews.some(({ verdict }) => verdict === 'revise' || verdict === 'reject');

/** The citations as all who compared them found them: null where one of them found that the source does not hold it. */
export const heldByAll = (reviews: readonly Review[]): readonly (Citation | null)[] | undefined =>
  reviews
    .flatMap(({ held }) => (held ? [held] : []))
    .reduce<readonly (Citation | null)[] | undefined>((all, held) => held.map((citation, index) => (all?.[index] === null ? null : citation)), undefined);
