import type { AccountName } from '../../../storage/accounts/names.ts'
import type { Headers, Reply } from '../../reply.ts'

/** Of what a browser is given here: nothing may run in it, frame it, keep it, or hear where it was. */
export const pageHeaders: Headers = Object.freeze({
  'Content-Security-Policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
})

export interface TokenPage {
  readonly account: AccountName
  readonly token: string
  readonly expiresAt: Date
  /** Of the registry, as docker is told it. */
  readonly host: string
}

/** Shows a token, once. */
export function tokenPage({ account, token, expiresAt, host }: TokenPage, headers: Headers): Reply {
  // RFC 7617, 2: Basic credentials have no room for a colon in a name; what is before it is taken, too.
  const username = account.split(':', 1)[0] ?? account
  return page(
    200,
    'Logged in',
    [
      `<p>You are <b>${escaped(account)}</b>. This is your token, which is shown only now:</p>`,
      `<pre>${escaped(token)}</pre>`,
      '<p>Use it in place of a password:</p>',
      `<pre>docker login --username ${escaped(username)} ${escaped(host)}</pre>`,
      `<p>It is good until ${escaped(expiresAt.toISOString().slice(0, 10))}.</p>`,
    ],
    headers,
  )
}

function page(status: number, title: string, body: readonly string[], headers: Headers): Reply {
  const html = [
    '<!doctype html>',
    '<html lang="en">',
    `<head><meta charset="utf-8"><title>${escaped(title)}</title></head>`,
    '<body>',
    `<h1>${escaped(title)}</h1>`,
    ...body,
    '</body>',
    '</html>',
    '',
  ].join('\n')
  return {
    status,
    headers: { ...pageHeaders, ...headers },
    content: { type: 'text/html; charset=utf-8', bytes: Buffer.from(html) },
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => entities[character] ?? '')
}
