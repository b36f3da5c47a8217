import * as z from 'zod'

/** `a, b` in an environment variable or flag, a list in a file. */
export const list = () => z.preprocess(commaSeparated, z.array(z.string())).default([])

/** `true`, `yes`, `1`, `on` and their opposites, wherever it is written. */
export const flag = () => z.union([z.boolean(), z.stringbool()])

export const positiveInteger = () => z.coerce.number().int().positive()

function commaSeparated(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
