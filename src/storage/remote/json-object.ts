/** The object that a stranger's JSON is; empty for what is none. */
export function jsonObjectIn(bytes: Uint8Array): Record<string, unknown> {
  return parsedObjectIn(bytes) ?? {}
}

/** The same, where it matters whether it is one at all. */
export function parsedObjectIn(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
