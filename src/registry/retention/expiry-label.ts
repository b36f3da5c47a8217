import { durationMs } from '../../retention-policy.ts'

/** The second is Quay's, which images out there have. */
const names = ['varve.expires-after', 'quay.expires-after'] as const

/**
 * After which time a tag goes, by the labels of an image or the annotations of a manifest: milliseconds since it was
 * pushed. Undefined when they do not say, or nothing that can be understood.
 */
export function expiryLabelOf(labels: unknown): number | undefined {
  if (typeof labels !== 'object' || labels === null) return undefined
  for (const name of names) {
    const text: unknown = Object.hasOwn(labels, name) ? Reflect.get(labels, name) : undefined
    const ms = typeof text === 'string' ? durationMs(text.trim()) : undefined
    if (ms !== undefined) return ms
  }
  return undefined
}

/** Of the bytes of an image's config, which may be anything. */
export function expiryLabelIn(config: Uint8Array): number | undefined {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(config).toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof json !== 'object' || json === null) return undefined
  const own: unknown = Reflect.get(json, 'config')
  return typeof own === 'object' && own !== null ? expiryLabelOf(Reflect.get(own, 'Labels')) : undefined
}
