import { type EndpointSettings, headerName } from './events-settings.ts'
import { invalidSetting } from './invalid.ts'
import { readSetting } from './secrets.ts'
import type { Settings } from './schema.ts'

/** With what its files say. */
export interface CompleteEndpoint extends EndpointSettings {
  /** The key of its signatures. */
  readonly secret: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

export type CompleteEvents = Omit<Settings['events'], 'endpoints'> & {
  readonly endpoints: readonly CompleteEndpoint[]
}

/** @throws DomainError `invalid` that names the setting. */
export function completeEvents(events: Settings['events']): CompleteEvents {
  const names = events.endpoints.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw invalidSetting('events.endpoints', `there are two of the name ${twice}`)
  const deaf = events.endpoints.findIndex(
    ({ format, kinds }) => format === 'distribution' && kinds.some(kind => runKinds.has(kind)),
  )
  if (deaf >= 0)
    throw invalidSetting(
      `events.endpoints.${deaf}.kinds`,
      "distribution's format has no place for mirror and upstream; take format: cloudevents",
    )
  return {
    ...events,
    endpoints: events.endpoints.map((endpoint, index) => ({
      ...endpoint,
      secret: secretOf(`events.endpoints.${index}.secretFile`, endpoint.secretFile),
      headers: headersOf(`events.endpoints.${index}.headersFile`, endpoint.headersFile),
    })),
  }
}

const runKinds: ReadonlySet<string> = new Set(['mirror', 'upstream'])

/** Bytes, as Standard Webhooks asks for. */
const [minSecret, maxSecret] = [24, 64]

function secretOf(key: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  const secret = readSetting(key, file)
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
  const size = base64 === undefined ? 0 : Buffer.from(base64, 'base64').length
  if (size < minSecret || size > maxSecret)
    throw invalidSetting(
      key,
      `${file} holds no whsec_ followed by ${minSecret} to ${maxSecret} bytes in base64, such as echo "whsec_$(openssl rand -base64 32)" makes`,
    )
  return secret
}

function headersOf(key: string, file: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {}
  if (file === undefined) return headers
  for (const [index, line] of readSetting(key, file).split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, Math.max(colon, 0)).trim(), line.slice(colon + 1).trim()]
    // RFC 9110, 5.5, without what is obsolete.
    if (!headerName.test(name) || !/^[\t -~]*$/.test(value))
      throw invalidSetting(key, `line ${index + 1} of ${file} is no header; write Name: value`)
    headers[name.toLowerCase()] = value
  }
  return headers
}
