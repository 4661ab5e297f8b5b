import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { kafkaLibraries } from '../real/services/kafka.js';
import { installKeycloak } from '../real/services/keycloak.js';
import { opaProgram } from '../real/services/opa.js';
import { redisProgram } from '../real/services/redis.js';
import { readDockerfile } from '../image/dockerfile.js';
import { prometheusPrograms } from './downloads.js';

const run = promisify(execFile);
const REPOSITORY = path.join(import.meta.dirname, '..', '..');
const JAVA_25 = '/usr/lib/jvm/temurin-25-jdk-amd64';

/** What stands for an image's own file system: programs for the path, and places by which a command names them. */
export interface Programs { readonly path: string; readonly places: Readonly<Record<string, string>>; readonly environment: Readonly<Record<string, string>> }

/** For images of ours: the files that the Dockerfile copies to /app, with the product's Node. */
export async function productPrograms(folder: string): Promise<Programs> {
  for (const name of ['dist', 'node_modules', 'package.json']) await symlink(path.join(REPOSITORY, name), path.join(folder, name));
  await symlink(path.join(REPOSITORY, 'deploy', 'healthy.mjs'), path.join(folder, 'healthy.mjs'));
  return { path: path.dirname(process.execPath), places: {}, environment: {} };
}

export async function redisPrograms(folder: string, port: number): Promise<Programs> {
  const { command, env } = await redisProgram(folder);
  // Of Debian's tools the server and the client are one program that goes by its name; without the client a line over TCP does.
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  const own = Object.entries(env).map(([name, value]) => `export ${name}='${value}'`).join('\n');
  await script(path.join(bin, 'redis-server'), `${own}\nexec '${command}' --port ${port} --bind 127.0.0.1 --dir '${folder}' "$@"`);
  await script(path.join(bin, 'redis-cli'), `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'AUTH %s\\r\\n%s\\r\\n' "$REDISCLI_AUTH" "$1" >&3; read -r first <&3; read -r second <&3; [[ $first == +OK* && $second == +PONG* ]]`);
  return { path: bin, places: {}, environment: {} };
}

export async function opaPrograms(): Promise<Programs> {
  const program = await opaProgram();
  return { path: path.dirname(program), places: { '/opa': program }, environment: {} };
}

export const prometheusInPlace = async (): Promise<Programs> => ({ path: await prometheusPrograms(), places: {}, environment: {} });

/** Postgres' clients. */
export async function postgresPrograms(): Promise<Programs> {
  const [newest = ''] = (await readdir('/usr/lib/postgresql')).filter((name) => /^\d+$/.test(name)).toSorted((a, b) => Number(b) - Number(a));
  return { path: `/usr/lib/postgresql/${newest}/bin`, places: {}, environment: {} };
}

/**
 * The broker started by the image's rules: `KAFKA_A_B` is the setting `a.b`, the storage is formatted with CLUSTER_ID. And a stand-in of
 * the console consumer, for people.
 */
export async function kafkaPrograms(folder: string): Promise<Programs> {
  const libraries = await kafkaLibraries();
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  const logging = path.join(folder, 'log4j2.properties');
  await writeFile(logging, 'appender.c.type=Console\nappender.c.name=C\nappender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d %p %c{1} %m%n\nappender.c.target=SYSTEM_ERR\nrootLogger.level=WARN\nrootLogger.appenderRef.c.ref=C\n');
  const java = `exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true -Dlog4j2.configurationFile='${logging}' -cp '${libraries}/*'`;
  await script(path.join(bin, 'kafka-run'), `set -eu
    properties='${folder}/server.properties'; : >"$properties"
    env | while IFS='=' read -r name value; do
      case $name in KAFKA_HEAP_OPTS|KAFKA_OPTS|KAFKA_LOG4J*|KAFKA_JVM*) continue ;; KAFKA_*) ;; *) continue ;; esac
      key=$(printf '%s' "\${name#KAFKA_}" | sed -e 's/___/-/g' -e 's/__/%/g' -e 's/_/./g' -e 's/%/_/g' | tr '[:upper:]' '[:lower:]')
      printf '%s=%s\\n' "$key" "$value" >>"$properties"
    done
    (${java} -Xmx256m kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$properties") >&2
    ${java} $KAFKA_HEAP_OPTS kafka.Kafka "$properties"`);
  await script(path.join(bin, 'kafka-console-consumer.sh'), `exec '${process.execPath}' '${path.join(import.meta.dirname, 'console-consumer.mjs')}' "$@"`);
  return { path: bin, places: { '/opt/kafka/bin': bin }, environment: {} };
}

/** Keycloak with the build step of the Dockerfile's target done (once, cached), in a folder of its own with the realm in place. */
export async function keycloakPrograms(folder: string): Promise<Programs> {
  const stage = (await readDockerfile(path.join(REPOSITORY, 'Dockerfile'))).get('keycloak');
  const build = stage?.instructions.find(({ name }) => name === 'RUN')?.words ?? [];
  if (build[0] !== '/opt/keycloak/bin/kc.sh') throw new Error('The Dockerfile\'s target keycloak does not build Keycloak');
  const realm = stage?.instructions.find(({ name }) => name === 'COPY')?.words ?? [];
  const plain = await installKeycloak();
  const version = /keycloak:([\d.]+)$/.exec(stage?.from ?? '')?.[1];
  if (version === undefined || !plain.endsWith(`keycloak-${version}`)) throw new Error(`The Dockerfile has Keycloak ${version}, the tests have ${path.basename(plain)}: raise both`);
  const java = process.env['JAVA_HOME'] ?? (await stat(JAVA_25).then(() => JAVA_25, () => undefined));
  const environment: Record<string, string> = java === undefined ? {} : { JAVA_HOME: java };
  const cache = process.env['STOA_CACHE'] ?? path.join(homedir(), '.cache', 'stoa-test');
  const built = path.join(cache, `keycloak-${version}-${createHash('sha256').update(build.join('\0')).digest('hex').slice(0, 12)}`);
  if (!await stat(built).then(() => true, () => false)) {
    const half = `${built}.${process.pid}`;
    await cp(plain, half, { recursive: true, verbatimSymlinks: true });
    await run(path.join(half, 'bin', 'kc.sh'), build.slice(1), { env: { ...process.env, ...environment }, maxBuffer: 8 * 1024 * 1024 });
    await rename(half, built).catch(() => rm(half, { recursive: true, force: true }));
  }
  await mkdir(path.join(folder, 'bin'));
  await mkdir(path.join(folder, 'data', 'import'), { recursive: true });
  await copyFile(path.join(built, 'bin', 'kc.sh'), path.join(folder, 'bin', 'kc.sh'));
  await copyFile(path.join(REPOSITORY, realm[0] ?? ''), path.join(folder, 'data', 'import', path.basename(realm[0] ?? '')));
  for (const name of ['lib', 'conf', 'providers', 'themes', 'version.txt']) await symlink(path.join(built, name), path.join(folder, name));
  return { path: path.join(folder, 'bin'), places: { '/opt/keycloak': folder }, environment };
}

async function script(file: string, body: string): Promise<void> {
  await writeFile(file, `#!/bin/bash\n${body}\n`);
  await chmod(file, 0o755);
}
