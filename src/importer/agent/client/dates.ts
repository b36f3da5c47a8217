/** Dates travel as text: gives them back to what has been read from JSON. */
export function withDates<Value extends object, Key extends keyof Value>(
  value: Value,
  ...keys: readonly Key[]
): Value {
  const dates = keys.flatMap(key => {
    const text: unknown = value[key]
    return typeof text === 'string' ? [[key, new Date(text)] as const] : []
  })
  return { ...value, ...Object.fromEntries(dates) }
}
