import { invalidSetting } from '../../config/invalid.ts'
import { isDomainError } from '../../errors.ts'

/** What a setting says that only its part can read. @throws DomainError `invalid` that names the setting. */
export function parsedSetting<Value>(key: string, parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    if (!isDomainError(error, 'invalid')) throw error
    throw invalidSetting(key, error.message.replace(/\.$/, ''), error)
  }
}
