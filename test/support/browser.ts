/** As much of a browser as a login needs: it keeps cookies by host and port, and follows links when it is told to. */
export class Browser {
  readonly #jars = new Map<string, Map<string, string>>()
  /** Headers `Set-Cookie` that it was given. */
  readonly cookies: string[] = []

  /** One request; where it is sent elsewhere, that is the answer. */
  async request(url: URL | string, form?: Readonly<Record<string, string>>): Promise<Response> {
    const target = new URL(url)
    const jar = this.#jarOf(target)
    const answer = await fetch(target, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    })
    for (const cookie of answer.headers.getSetCookie()) {
      this.cookies.push(cookie)
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }

  /** Goes on until somebody answers with something else than another place, or `until` is reached, which is not asked. */
  async follow(
    first: URL | string,
    until: (url: URL) => boolean = () => false,
  ): Promise<{ url: URL; answer?: Response }> {
    let url = new URL(first)
    for (let hops = 0; hops < 20; hops += 1) {
      if (until(url)) return { url }
      const answer = await this.request(url)
      const location = answer.headers.get('location')
      if (location === null) return { url, answer }
      await answer.body?.cancel()
      url = new URL(location, url)
    }
    throw new Error(`${url.href} leads in circles`)
  }

  #jarOf({ host }: URL): Map<string, string> {
    const jar = this.#jars.get(host) ?? new Map<string, string>()
    this.#jars.set(host, jar)
    return jar
  }
}
