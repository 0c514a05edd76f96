#!/usr/bin/env node
// Plain JavaScript that the oldest Node can read, so that it can say what it needs instead of failing on syntax.
var parts = process.versions.node.split('.').map(Number);
if (parts[0] < 22 || (parts[0] === 22 && parts[1] < 18)) {
  console.error('troupe needs Node 22.18 or newer, found ' + process.version + ': install Node 24 LTS, or run `npx -p node@24 -p troupe troupe`.');
  process.exitCode = 2;
} else {
  // Compiled once, quicker ever after.
  require('node:module').enableCompileCache();
  // A checkout runs its sources; the package has only what was compiled from them.
  var fs = require('node:fs');
  var path = require('node:path');
  var source = path.join(__dirname, '../src/cli/main.ts');
  import(require('node:url').pathToFileURL(fs.existsSync(source) ? source : path.join(__dirname, '../dist/cli/main.js')).href);
}
