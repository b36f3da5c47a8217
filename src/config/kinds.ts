import * as z from 'zod'

/** `a, b` in an environment variable or flag, a list in a file. */
export const list = () => z.preprocess(commaSeparated, z.array(z.string())).default([])

/** `true`, `yes`, `1`, `on` and their opposites, wherever it is written. */
export const flag = () => z.union([z.boolean(), z.stringbool()])

export const positiveInteger = () => z.coerce.number().int().positive()

/** @param instead of a user and a password in it, which would be seen wherever the URL is. */
export const webUrl = (instead?: string) =>
  z
    .url({ protocol: /^https?$/, error: 'a URL that begins with https:// or http://' })
    // Runs for what is no URL, too.
    .refine(
      url => !URL.canParse(url) || isAnonymous(new URL(url)),
      `no user and password in it${instead === undefined ? '' : `; ${instead}`}`,
    )

/** For `preprocess`: what is no text, or no JSON, as it is. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

function isAnonymous({ username, password }: URL): boolean {
  return username === '' && password === ''
}

function commaSeparated(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
