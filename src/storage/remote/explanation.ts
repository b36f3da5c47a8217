import { jsonObjectIn } from './json-object.ts'

/** The registry's own words (distribution-spec, "Error Codes"), shortened, as the end of a sentence; '' without any. */
export function explanationIn(bytes: Uint8Array): string {
  const [first] = errorsIn(bytes)
  const words = [first?.code, first?.message].filter(word => typeof word === 'string').join(': ')
  return words === '' ? '' : `; it says ${JSON.stringify(words.slice(0, 300).replace(acting, '·'))}`
}

/** What a terminal acts upon, and what turns the direction of text: these are a stranger's words in a sentence of ours. */
export const acting = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Whether the registry names one of these codes as a reason. */
export function saysAnyOf(bytes: Uint8Array, ...codes: readonly string[]): boolean {
  return errorsIn(bytes).some(({ code }) => typeof code === 'string' && codes.includes(code))
}

function errorsIn(bytes: Uint8Array): { readonly code?: unknown; readonly message?: unknown }[] {
  const { errors } = jsonObjectIn(bytes) as { readonly errors?: unknown }
  if (!Array.isArray(errors)) return []
  return errors.filter((error: unknown) => typeof error === 'object' && error !== null) as object[]
}
