/** Unique for each start of a host: a claim under it can only be that host's. */
export const newHostId = (): string => `h-${crypto.randomUUID()}`;
