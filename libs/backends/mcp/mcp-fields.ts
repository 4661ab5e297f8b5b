import { z } from 'zod';
import { readOperatorList } from '#libs/backends/mcp/operator-list.js';

/** Field for a process's configuration schema: what the operator allows of MCP servers beside HTTP. */
export const mcpServersField = z.string().transform((text, context) => {
  try { return readOperatorList(text); } catch (failure) {
    context.issues.push({ code: 'custom', message: failure instanceof Error ? failure.message : String(failure), input: text });
    return z.NEVER;
  }
}).prefault('').meta({
  env: 'MCP_SERVERS', secret: true,
  description: 'MCP servers that this process may start or reach on a Unix socket, as JSON: `{"mcpServers": {NAME: {"command", "args", "env", "cwd", "tenants"}}, "sockets": [PATH or folder]}`. Imports name an entry; they can never bring a command. Control and data planes need the same list.',
});
