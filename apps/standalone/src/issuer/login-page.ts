/** Somebody whom the login page of the local issuer offers. There are no passwords: whoever can open the page may be anyone on it. */
export interface DemoUser {
  /** The token's `sub`. */
  readonly id: string;
  readonly name: string;
  readonly tenant: string | undefined;
  readonly role: string;
}

/** Headers of the page: nothing is loaded from anywhere, nothing may frame it. */
export const LOGIN_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
};

/** The page on which a person says who they are. `action` is where the choice is posted. */
export function loginPage(facts: { readonly action: string; readonly clientName: string; readonly redirectUri: string; readonly users: readonly DemoUser[] }): string {
  const choices = facts.users.map((user) => `<button name="user" value="${escaped(user.id)}"><b>${escaped(user.name)}</b> ${escaped(user.role)}${user.tenant === undefined ? '' : ` of ${escaped(user.tenant)}`}</button>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Stoa: who are you?</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:30em;margin:3em auto;padding:0 1em}button{display:block;width:100%;margin:.4em 0;padding:.6em;text-align:left;font:inherit}</style>
</head><body>
<h1>Who are you?</h1>
<p><b>${escaped(facts.clientName)}</b> wants to call tools in your name and will be sent to <code>${escaped(facts.redirectUri)}</code>.</p>
<form method="post" action="${escaped(facts.action)}">${choices.length === 0 ? '<p>There are no users yet: create a tenant first.</p>' : choices.join('\n')}
<button name="user" value="">Cancel</button></form>
<p><small>This issuer belongs to the process on this computer and asks for no password.</small></p>
</body></html>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
