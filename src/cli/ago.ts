/** How long ago, in a word: `4 s`, `12 min`, `3 h`, `5 d`. */
export const ago = (sinceMs: number): string => {
  const seconds = Math.max(0, Math.round(sinceMs / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
};
