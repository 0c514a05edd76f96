/** File name patterns: `*` and `?` within a segment, `**` across segments, `{a,b}` for either. A pattern without a slash fits in any folder. */
export const globMatcher = (pattern: string): ((path: string) => boolean) => {
  const regex = new RegExp(`^${source(pattern.includes('/') ? pattern : `**/${pattern}`)}$`);
  return (path) => regex.test(path);
};

const source = (pattern: string): string =>
  pattern.replace(/\*\*\/|\*\*|\*|\?|\{[^{}/]*\}|[.+^$()|[\]\\{}]/g, (token) => {
    switch (token) {
      case '**/':
        return '(?:[^/]+/)*';
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      case '?':
        return '[^/]';
      default:
        return token.length > 1 ? `(?:${token.slice(1, -1).split(',').map(source).join('|')})` : `\\${token}`;
    }
  });
