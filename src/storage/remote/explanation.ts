import { jsonObjectIn } from './json-object.ts'

/** The registry's own words (distribution-spec, "Error Codes"), shortened, as the end of a sentence; '' without any. */
export function explanationIn(bytes: Uint8Array): string {
  const { errors } = jsonObjectIn(bytes) as { readonly errors?: unknown }
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (typeof first !== 'object' || first === null) return ''
  const { code, message } = first as { readonly code?: unknown; readonly message?: unknown }
  const words = [code, message].filter(word => typeof word === 'string').join(': ')
  return words === '' ? '' : `; it says ${JSON.stringify(words.slice(0, 300))}`
}
