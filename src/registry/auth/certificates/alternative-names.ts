/** One subject alternative name of a certificate (RFC 5280, 4.2.1.6). */
export interface AlternativeName {
  /** As Node writes it: `DNS`, `email`, `URI`, `IP Address` …. */
  readonly kind: string
  readonly value: string
}

/** `DNS:` and the like; then a JSON string, or plain characters, none of which would have to be escaped. */
const entry =
  /([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*")|([^",\\\p{Cc}]*))/uy

/**
 * The names in the text that `X509Certificate.subjectAltName` is, in its order. A name with anything in it that could be
 * taken for the next name stands there as a JSON string; whoever splits at commas makes two of it (CVE-2021-44532).
 *
 * @returns undefined for a text of any other form: then none of it can be believed.
 */
export function parseAlternativeNames(text: string): AlternativeName[] | undefined {
  const names: AlternativeName[] = []
  for (let at = 0; ; ) {
    entry.lastIndex = at
    const [all = '', kind, quoted, plain = ''] = entry.exec(text) ?? []
    if (kind === undefined) return undefined
    names.push({ kind, value: quoted === undefined ? plain : String(JSON.parse(quoted)) })
    at += all.length
    if (at === text.length) return names
    if (!text.startsWith(', ', at)) return undefined
    at += 2
  }
}
