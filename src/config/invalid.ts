import { DomainError } from '../errors.ts'

export function invalidSetting(key: string, why: string, cause?: unknown): DomainError {
  return invalidConfig(key, `The setting ${key} is not valid: ${why}`, cause)
}

/** @param sentence without its full stop. */
export function invalidConfig(name: string, sentence: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `${sentence}. \`varve config check\` prints all settings.`,
    { resource: 'config', name },
    { cause },
  )
}
