/** A person with a browser, without the browser: follows redirects, keeps cookies, fills in Keycloak's login and consent forms. */
export interface Visit {
  /** Where Keycloak sent the browser at the end, with `code` or `error`. */
  readonly landed: URL;
  /** What the consent page said would be given; undefined where none was shown. */
  readonly consent: string | undefined;
}

/** Rejects with what the page said when the login does not lead to an address that starts with `redirectUri`. */
export async function signIn(authorizationUrl: URL | string, redirectUri: string, { username, password }: { readonly username: string; readonly password: string }): Promise<Visit> {
  const cookies = new Map<string, string>();
  let consent: string | undefined;
  let next: { readonly url: string; readonly form?: Readonly<Record<string, string>> } = { url: String(authorizationUrl) };
  for (let step = 0; step < 12; step += 1) {
    const reply: Response = await fetch(next.url, {
      redirect: 'manual', headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(next.form === undefined ? {} : { method: 'POST', body: new URLSearchParams(next.form) }),
    });
    for (const cookie of reply.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const location = reply.headers.get('location');
    if (location !== null) {
      const target = new URL(location, next.url);
      if (target.href.startsWith(redirectUri)) return { landed: target, consent };
      next = { url: target.href };
      continue;
    }
    const page = await reply.text();
    const named = /<form[^>]*action="([^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&');
    const action = named === undefined ? undefined : new URL(named, next.url).href;
    if (action === undefined) throw new Error(`Keycloak shows a page without a form: ${reply.status} ${textOf(page).slice(0, 300)}`);
    if (action.includes('login-actions/consent')) {
      consent = textOf(page);
      next = { url: action, form: { code: /name="code" value="([^"]*)"/.exec(page)?.[1] ?? '', accept: 'Yes' } };
    } else if (step > 4) throw new Error(`Keycloak asks again: ${textOf(page).slice(0, 300)}`);
    else next = { url: action, form: { username, password, credentialId: '' } };
  }
  throw new Error('Keycloak redirects without an end');
}

const textOf = (html: string): string => html.replaceAll(/<(script|style)[\s\S]*?<\/\1>|<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ').trim();
