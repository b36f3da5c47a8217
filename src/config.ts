import { existsSync, readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { type Config, complete } from './config/complete.ts'
import { environmentName, environmentNames } from './config/environment.ts'
import { invalidConfig, invalidSetting } from './config/invalid.ts'
import { isUtf8Locale } from './config/locale.ts'
import { leavesOf, type Settings, schema, withSections } from './config/schema.ts'
import { flatten, getIn, setIn } from './config/tree.ts'
import { nearest } from './nearest.ts'

export type { Config } from './config/complete.ts'

export type Source = 'default' | 'file' | 'environment' | 'flag'

/** One setting as `varve config check` prints it. */
export interface EffectiveSetting {
  /** Such as `registry.address`. */
  readonly key: string
  /** `(secret)` for a secret that is set; of what has secrets in it, the rest. */
  readonly value: unknown
  readonly source: Source
  readonly environment: string
  readonly description: string
}

export interface LoadedConfig {
  readonly config: Config
  readonly settings: readonly EffectiveSetting[]
}

export interface ConfigInput {
  /** A YAML file that must exist when named. */
  readonly file?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  /** Values of command-line flags by setting key; undefined ones count as not given. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined
}

/** Keys that were others before. A file that has both gets what it says last. */
const renamed: ReadonlyMap<string, string> = new Map([['importer.maxLayerBytes', 'importer.layers.maxBytes']])

/** Later sources win: defaults < file < environment < flags. @throws DomainError `invalid` that names the setting. */
export function loadConfig({ file, environment = process.env, flags = {} }: ConfigInput = {}): LoadedConfig {
  const leaves = leavesOf()
  const sources = new Map<string, Source>()
  const tree: object = Object.create(null)
  const place = (key: string, value: unknown, source: Source): void => {
    setIn(tree, key.split('.'), value)
    sources.set(key, source)
  }

  for (const [key, value] of flatten(readFile(file))) place(renamed.get(key) ?? key, value, 'file')
  for (const [name, key] of environmentNames(leaves.keys())) {
    const value = environment[name]
    if (value !== undefined && value !== '') place(key, value, 'environment')
  }
  for (const [key, value] of Object.entries(flags)) if (value !== undefined) place(key, value, 'flag')

  const config = complete(check(tree, [...leaves.keys()]))
  const settings = [...leaves].map(([key, leaf]) => ({
    key,
    value: leaf.show(getIn(config, key.split('.'))),
    source: sources.get(key) ?? ('default' as const),
    environment: environmentName(key),
    description: leaf.description,
  }))
  return { config, settings }
}

/** Whether what is printed may hold more than ASCII. */
export function speaksUtf8(environment: ConfigInput['environment'] = process.env): boolean {
  return isUtf8Locale(environment)
}

function check(tree: object, keys: readonly string[]): Settings {
  const result = schema.safeParse(withSections(tree))
  if (result.success) return result.data
  const { issues } = result.error
  // What is misspelt is missing as well, and its own name says more.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]
  const path = issue?.path.join('.') ?? ''
  if (issue?.code === 'unrecognized_keys') {
    const key = [path, issue.keys[0]].filter(Boolean).join('.')
    const guess = nearest(key, keys)
    throw invalidConfig(
      key,
      `The setting ${key} does not exist${guess === undefined ? '' : `; the nearest is ${guess}`}`,
    )
  }
  throw invalidSetting(path, issue?.message ?? 'invalid')
}

function readFile(file: string | undefined): unknown {
  if (file === undefined) return {}
  if (!existsSync(file)) throw invalidConfig(file, `The configuration file ${file} does not exist`)
  try {
    return parseYaml(readFileSync(file, 'utf8')) ?? {}
  } catch (cause) {
    throw invalidConfig(file, `The configuration file ${file} cannot be read: ${String(cause)}`, cause)
  }
}
