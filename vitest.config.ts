import { defineConfig } from 'vitest/config';

/** Where the machine-readable report goes, for whoever counts the tests. */
const report = process.env['TROUPE_TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
});
