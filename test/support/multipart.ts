import assert from 'node:assert/strict'

export interface BodyPart {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Buffer
}

/** The parts of a multipart body (RFC 2046, 5.1.1), read as strictly as the strictest client. */
export function parseMultipart(contentType: string | undefined, body: Buffer): BodyPart[] {
  const [, boundary] = /^multipart\/byteranges; boundary=([A-Za-z0-9]+)$/.exec(contentType ?? '') ?? []
  assert.ok(boundary !== undefined, `${contentType} has no boundary`)
  const text = body.toString('latin1')
  assert.ok(text.startsWith(`--${boundary}\r\n`) && text.endsWith(`\r\n--${boundary}--\r\n`))
  return text
    .slice(0, -`\r\n--${boundary}--\r\n`.length)
    .split(new RegExp(`(?:^|\r\n)--${boundary}\r\n`))
    .slice(1)
    .map(part => {
      const blank = part.indexOf('\r\n\r\n')
      const lines = part.slice(0, blank).split('\r\n')
      const headers = Object.fromEntries(
        lines.map(line => {
          const [name = '', value = ''] = line.split(/: (.*)/)
          return [name.toLowerCase(), value]
        }),
      )
      return { headers, bytes: Buffer.from(part.slice(blank + 4), 'latin1') }
    })
}
