/** Content blocks of MCP 2026-07-28 (`ContentBlock`). */
export type ContentBlock =
  | { readonly type: 'text'; readonly text: string; readonly annotations?: object; readonly _meta?: object }
  | { readonly type: 'image' | 'audio'; readonly data: string; readonly mimeType: string; readonly annotations?: object }
  | { readonly type: 'resource'; readonly resource: ResourceContents; readonly annotations?: object }
  | { readonly type: 'resource_link'; readonly uri: string; readonly name: string; readonly description?: string; readonly mimeType?: string };

export type ResourceContents = { readonly uri: string; readonly mimeType?: string } & ({ readonly text: string } | { readonly blob: string });

export interface ToolResult {
  readonly type: 'tool';
  readonly content: readonly ContentBlock[];
  /** `structuredContent` as JSON text: the backend's own bytes, checked to be JSON, never serialized again. */
  readonly structuredJson?: string;
  readonly isError: boolean;
  /** HTTP status of a REST backend's answer. */
  readonly backendStatus?: number;
  readonly meta?: Readonly<Record<string, unknown>>;
}
export interface ResourceResult { readonly type: 'resource'; readonly contents: readonly ResourceContents[] }
export interface PromptResult {
  readonly type: 'prompt';
  readonly description?: string;
  readonly messages: readonly { readonly role: 'user' | 'assistant'; readonly content: ContentBlock }[];
}
/** The backend needs more from the client (MCP 2026-07-28, multi-round-trip results); only where `Exchange.supportsInputRequired`. */
export interface InputRequired { readonly type: 'input_required'; readonly inputRequests?: Readonly<Record<string, unknown>>; readonly requestState?: string }

export type CallResult = ToolResult | ResourceResult | PromptResult | InputRequired;
