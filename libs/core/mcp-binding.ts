/** Where an MCP server is, in one of three ways. A command is never in the catalogue: `stdio` names an entry of the operator's list. */
export type McpEndpoint =
  | { readonly url: string; readonly transport: 'streamable' | 'sse' }
  | { readonly stdio: string }
  | { readonly unix: string };

/** How one tool, prompt, resource or resource template of an MCP server is asked for. */
export interface McpBinding {
  readonly kind: 'mcp';
  readonly endpoint: McpEndpoint;
  /** Protocol revisions spoken with it: `modern` is 2026-07-28, `legacy` what has sessions. Undefined: what it serves, the caller's first. */
  readonly era?: 'modern' | 'legacy';
  /** Tool or prompt as the server names it, resource URI, or RFC 6570 template. */
  readonly name: string;
  /** Fixed request headers; never a secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** See `RestBinding.security`. */
  readonly security: readonly (readonly string[])[];
}
