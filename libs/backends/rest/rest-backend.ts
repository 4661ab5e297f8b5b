import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { Denial } from '#libs/core/errors.js';
import type { Backend } from '#libs/core/ports.js';
import type { RestBinding } from '#libs/core/rest-binding.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { type HttpAnswer, HttpCaller, type HttpCallerOptions } from '#libs/backends/http/http-caller.js';
import { answerOf } from './answer.js';
import { buildRequest } from './request.js';

export interface RestBackendOptions extends HttpCallerOptions {
  /** Why an answer does not keep the tool's `outputSchema`; undefined when it does. Left out: answers are not checked. */
  readonly checkOutput?: (target: Target, value: unknown) => string | undefined;
}

/** Calls operations of HTTP APIs. A backend's own failure is a tool error with the backend's own text; no credential is in any text. */
export class RestBackend implements Backend {
  readonly #http: HttpCaller;
  constructor(private readonly options: RestBackendOptions) { this.#http = new HttpCaller(options); }

  invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as RestBinding;
    return this.#http.send(call, { security: binding.security, build: (credentials) => buildRequest(binding, call.api, call.input, { credentials }) }, (answer) => this.#answer(call, answer));
  }

  #answer(call: ValidatedCall, { response, latencyMs, attempts }: HttpAnswer): BackendAnswer {
    const { result, value } = answerOf(response, `stoa://tool/${call.target.name}/answer`);
    const answer = (checked: ToolResult): BackendAnswer => ({ result: checked, outcome: checked.isError ? 'error' : 'success', latencyMs, bytes: response.body.byteLength, attempts });
    if (result.isError || call.target.outputSchema === undefined || !this.options.checkOutput) return answer(result);
    const wrong = value === undefined ? 'it is not JSON' : this.options.checkOutput(call.target, value.json);
    if (wrong === undefined) return answer(result);
    // The body stays as text, but not as structured content: clients may rely on that to fit the schema.
    const { structuredJson: _, ...rest } = result;
    return answer({ ...rest, isError: true, content: [{ type: 'text', text: `The backend's answer does not keep the output schema of ${call.target.name}: ${wrong}. Its answer follows.` }, ...result.content], meta: { error_code: 'BACKEND_CONTRACT_VIOLATION' } });
  }
}
