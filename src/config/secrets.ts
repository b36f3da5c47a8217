import { readFileSync } from 'node:fs'
import { invalidSetting } from './invalid.ts'

/** A secret that is written in the configuration itself, or in the file that `<key>File` names. */
export function secretOf(
  key: string,
  value: string | undefined,
  file: string | undefined,
): string | undefined {
  if (file === undefined) return value
  if (value !== undefined) throw invalidSetting(key, `give it or ${key}File, not both`)
  return readSetting(`${key}File`, file)
}

/** What is in the file that a setting names, without white space around it. */
export function readSetting(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw invalidSetting(key, `${file} cannot be read`, cause)
  }
}
