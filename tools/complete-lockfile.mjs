// Adds to package-lock.json the platform packages that `npm install` left out because the registry at hand could not
// serve them. Without their entries `npm ci` calls the lockfile out of sync. They are optional, and none is fetched on a
// platform that its `os`, `cpu` and `libc` do not name, so an entry needs no integrity; npm fills that in where it can.
// Usage: node tools/complete-lockfile.mjs [--check]
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = 'package-lock.json';
const OS = { android: 'android', darwin: 'darwin', freebsd: 'freebsd', linux: 'linux', openharmony: 'openharmony', win32: 'win32', netbsd: 'netbsd', openbsd: 'openbsd', sunos: 'sunos', aix: 'aix' };
const CPU = { arm: 'arm', arm64: 'arm64', ia32: 'ia32', x64: 'x64', ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', loong64: 'loong64', mips64el: 'mips64el' };

const lock = JSON.parse(readFileSync(FILE, 'utf8'));
const added = [];
for (const [path, entry] of Object.entries({ ...lock.packages })) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const own = `${path}/node_modules/${name}`;
    const top = `node_modules/${name}`;
    if (path === '' || lock.packages[own] || lock.packages[top]) continue;
    const words = name.split(/[/-]/);
    const os = words.find((word) => word in OS);
    const cpu = words.find((word) => word in CPU);
    if (!os || !cpu || !/^\d/.test(version)) continue;
    const libc = words.find((word) => word === 'musl' || word === 'gnu' || word === 'glibc');
    lock.packages[top] = {
      version, cpu: [cpu], ...(entry.dev ? { dev: true } : {}), ...(libc ? { libc: [libc === 'musl' ? 'musl' : 'glibc'] } : {}), optional: true, os: [os],
    };
    added.push(name);
  }
}
if (added.length > 0 && process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${added.length} platform packages (${added[0]}, …): run node tools/complete-lockfile.mjs`);
  process.exit(1);
}
if (added.length > 0) {
  const sorted = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  writeFileSync(FILE, `${JSON.stringify({ ...lock, packages: sorted }, undefined, 2)}\n`);
}
console.log(added.length === 0 ? 'package-lock.json is complete.' : `Added ${added.length} platform packages.`);
