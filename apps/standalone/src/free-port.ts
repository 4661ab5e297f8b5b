import { createServer, type AddressInfo } from 'node:net';

/** The address cannot be listened on; the message says why and what to do. */
export class PortUnavailable extends Error {
  readonly code = 'PORT_UNAVAILABLE';
  override get name(): string { return 'PortUnavailable'; }
}

/**
 * Listens for a moment, so that a busy port is told before anything else is begun, and so that port 0 has a number that the
 * issuer's URL can carry. Rejects with `PortUnavailable`.
 */
export function freePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => { reject(portUnavailable(host, port, error)); });
    probe.listen({ host, port, exclusive: true }, () => {
      const taken = (probe.address() as AddressInfo).port;
      probe.close(() => { resolve(taken); });
    });
  });
}

export function portUnavailable(host: string, port: number, error: NodeJS.ErrnoException): PortUnavailable {
  const fix = 'stop what listens there, or set STOA_PORT to another port';
  switch (error.code ?? '') {
    case 'EADDRINUSE': return new PortUnavailable(`Port ${port} of ${host} is in use: ${fix}`, { cause: error });
    case 'EACCES': return new PortUnavailable(`Port ${port} of ${host} is not allowed to this user: set STOA_PORT to a port above 1023`, { cause: error });
    case 'EADDRNOTAVAIL': case 'ENOTFOUND': return new PortUnavailable(`${host} is not an address of this machine: set STOA_HOST to one, as 127.0.0.1`, { cause: error });
    default: return new PortUnavailable(`Cannot listen on ${host}:${port} (${error.message}): ${fix}`, { cause: error });
  }
}
