import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a request may come from where it says (MCP Streamable HTTP, Security; DNS rebinding). `Origin` is compared as a whole,
 * scheme, host and port, without regard to case; `http://localhost:*` allows any port of that host; `*` allows all. `Host` is compared without its port.
 */
export function originRules(allowedOrigins: readonly string[], allowedHosts: readonly string[] | undefined): (headers: IncomingHttpHeaders) => string | undefined {
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));
  const hosts = allowedHosts && new Set(allowedHosts.map((host) => host.toLowerCase()));
  return (headers) => {
    const { origin, host } = headers;
    if (origin !== undefined && !origins.has('*')) {
      const lower = origin.toLowerCase();
      if (!origins.has(lower) && !origins.has(`${lower.replace(/:\d+$/, '')}:*`)) return 'Origin not allowed.';
    }
    if (hosts && !hosts.has((host ?? '').toLowerCase().replace(/:\d+$/, ''))) return 'Host not allowed.';
    return undefined;
  };
}
