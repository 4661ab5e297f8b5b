/** How one MCP client goes about finding its way in, as far as servers can see it. */
export interface ClientProfile {
  readonly name: string;
  /** As it registers itself (RFC 7591). */
  readonly clientName: string;
  readonly redirectUris: readonly string[];
  /** Which of them it uses. */
  readonly redirectUri: string;
  /** The protocol revision that it asks with first. */
  readonly protocolVersion: string;
  /** Set where it asks from a browser: metadata must then allow this origin (Fetch standard, CORS). */
  readonly origin?: string;
  /** Whether it names itself by a client-id metadata document where the issuer takes that. */
  readonly clientIdDocument?: string;
  /** Whether it wants `resource` to be its own address to the letter, or only a part of it before a slash. */
  readonly resource: 'exact' | 'prefix';
  /** It connects from its maker's servers, so that an address on this computer or network is out of its reach. */
  readonly fromInternet: boolean;
  /** Asks for `offline_access` where the issuer offers it, to be given refresh tokens. */
  readonly offline: boolean;
}

/**
 * Taken from what the clients send: Claude's documentation of connectors; VS Code's and Cursor's registration requests as servers recorded them
 * (microsoft/vscode#278512, erp-mafia/accounted#2225); the MCP TypeScript SDK, on which Claude Code, Cursor and the Inspector stand.
 */
export const CLIENTS: Readonly<Record<string, ClientProfile>> = {
  claude: {
    name: 'Claude', clientName: 'Claude', redirectUri: 'https://claude.ai/api/mcp/auth_callback', redirectUris: ['https://claude.ai/api/mcp/auth_callback'],
    protocolVersion: '2025-11-25', clientIdDocument: 'https://claude.ai/oauth/mcp-oauth-client-metadata', resource: 'prefix', fromInternet: true, offline: true,
  },
  vscode: {
    name: 'VS Code', clientName: 'Visual Studio Code', redirectUri: 'http://127.0.0.1:33418/',
    redirectUris: ['https://insiders.vscode.dev/redirect', 'https://vscode.dev/redirect', 'http://127.0.0.1/', 'http://127.0.0.1:33418/'],
    protocolVersion: '2025-11-25', clientIdDocument: 'https://vscode.dev/oauth/client-metadata.json', resource: 'exact', fromInternet: false, offline: false,
  },
  cursor: {
    name: 'Cursor', clientName: 'Cursor', redirectUri: 'cursor://anysphere.cursor-mcp/oauth/callback',
    redirectUris: ['cursor://anysphere.cursor-mcp/oauth/callback', 'https://www.cursor.com/agents/mcp/oauth/callback', 'http://localhost:8787/callback'],
    protocolVersion: '2025-11-25', resource: 'prefix', fromInternet: false, offline: false,
  },
  inspector: {
    name: 'MCP Inspector', clientName: 'MCP Inspector', redirectUri: 'http://localhost:6274/oauth/callback', redirectUris: ['http://localhost:6274/oauth/callback'],
    protocolVersion: '2025-11-25', origin: 'http://localhost:6274', resource: 'prefix', fromInternet: false, offline: false,
  },
};
