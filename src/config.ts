import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import * as z from 'zod'
import { DomainError } from './errors.ts'
import { nearest } from './nearest.ts'

function commaSeparated(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

/**
 * Every setting, once. Units are in the names. What is not named here is an error, so that a misspelt key is
 * never silently ignored.
 */
const schema = z.strictObject({
  data: z.string().default('./data').describe('Directory of everything that the embedded defaults keep.'),
  log: z.strictObject({
    level: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('How much is logged; each level includes those after it.'),
  }),
  registry: z.strictObject({
    address: z
      .string()
      .default('127.0.0.1:5000')
      .describe(
        'host:port to listen on. There is no authentication yet, so the default is this machine only.',
      ),
    idleTimeoutSeconds: z.coerce
      .number()
      .int()
      .positive()
      .default(60)
      .describe(
        'A connection on which nothing moves for so long is closed; there is no limit on a whole request.',
      ),
    drainSeconds: z.coerce
      .number()
      .int()
      .nonnegative()
      .default(10)
      .describe('How long running requests may take to end after a stop was asked for.'),
    partBytes: z.coerce
      .number()
      .int()
      .min(5 * 1024 * 1024)
      .default(8 * 1024 * 1024)
      .describe('Bytes of one part of a multipart upload; an upload holds at most two parts in memory.'),
    uploadMemoryBytes: z.coerce
      .number()
      .int()
      .positive()
      .default(64 * 1024 * 1024)
      .describe(
        'Bytes of request bodies that are in memory at once, two parts at least; who finds none left waits.',
      ),
    minBodyBytesPerSecond: z.coerce
      .number()
      .int()
      .nonnegative()
      .default(1024)
      .describe(
        'A request body that arrives more slowly, over idleTimeoutSeconds, is cut off; 0 for no bound.',
      ),
    trustedProxies: z
      .preprocess(commaSeparated, z.array(z.string()))
      .default([])
      .describe(
        'Addresses (CIDR) whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are believed; comma-separated or a list.',
      ),
    metricsAddress: z
      .string()
      .default('127.0.0.1:5001')
      .describe('host:port of metrics, health and debug; empty (or off) for none.'),
    uploadExpiryHours: z.coerce
      .number()
      .positive()
      .default(24)
      .describe('How long an upload session that nobody continues is kept.'),
    readOnly: z
      .union([z.boolean(), z.stringbool()])
      .default(false)
      .describe('Whether pushes and deletes are refused with 405.'),
    requireReferences: z
      .enum(['none', 'blobs', 'all'])
      .default('blobs')
      .describe(
        'What must be there before a manifest is taken: nothing (none), its config and layers (blobs), or the children of an index as well (all).',
      ),
  }),
  importer: z.strictObject({
    pool: z
      .string()
      .min(1)
      .optional()
      .describe(
        'ZFS pool (or dataset) for chains and clones, such as tank. Without it they are directories.',
      ),
    chains: z
      .string()
      .optional()
      .describe('Directory for chains and clones where there is no pool; default <data>/chains.'),
    socket: z.string().optional().describe('Unix socket of the agent; default <data>/agent.sock.'),
    platform: z
      .string()
      .default('linux/amd64')
      .describe('Which platform of a multi-platform image is taken.'),
    maxLayerBytes: z.coerce
      .number()
      .int()
      .positive()
      .default(64 * 1024 ** 3)
      .describe('Bytes that one layer may unpack to.'),
    plainHttp: z
      .string()
      .default('')
      .describe('Registries (host:port, comma-separated) to speak plain HTTP to; loopback always is.'),
  }),
})

type Settings = z.output<typeof schema>

/** The effective configuration, with what depends on other settings filled in. */
export interface Config extends Settings {
  readonly importer: Settings['importer'] & { readonly chains: string; readonly socket: string }
}

export type Source = 'default' | 'file' | 'environment' | 'flag'

/** One setting as `varve config check` prints it. */
export interface EffectiveSetting {
  /** Such as `registry.address`. */
  readonly key: string
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

/** Names that users of distribution have in their recipes. */
const aliases: Readonly<Record<string, string>> = {
  REGISTRY_HTTP_ADDR: 'registry.address',
  REGISTRY_HTTP_DEBUG_ADDR: 'registry.metricsAddress',
  REGISTRY_LOG_LEVEL: 'log.level',
  REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: 'data',
}

/** Later sources win: defaults < file < environment < flags. @throws DomainError `invalid` that names the setting. */
export function loadConfig({ file, environment = process.env, flags = {} }: ConfigInput = {}): LoadedConfig {
  const leaves = leavesOf(schema)
  const sources = new Map<string, Source>()
  const tree: object = Object.create(null)
  const place = (key: string, value: unknown, source: Source): void => {
    setIn(tree, key.split('.'), value)
    sources.set(key, source)
  }

  for (const [key, value] of flatten(readFile(file))) place(key, value, 'file')
  for (const [name, key] of environmentNames(leaves)) {
    const value = environment[name]
    if (value !== undefined && value !== '') place(key, value, 'environment')
  }
  for (const [key, value] of Object.entries(flags)) if (value !== undefined) place(key, value, 'flag')

  const config = complete(check(tree, [...leaves.keys()]))
  const settings = [...leaves].map(([key, description]) => ({
    key,
    value: getIn(config, key.split('.')),
    source: sources.get(key) ?? ('default' as const),
    environment: environmentName(key),
    description,
  }))
  return { config, settings }
}

function complete(settings: Settings): Config {
  const data = resolve(settings.data)
  const { partBytes, uploadMemoryBytes } = settings.registry
  if (uploadMemoryBytes < 2 * partBytes)
    throw invalidConfig(
      'registry.uploadMemoryBytes',
      `The setting registry.uploadMemoryBytes is not valid: ${uploadMemoryBytes} bytes have no room for two parts of ${partBytes} (registry.partBytes)`,
    )
  return {
    ...settings,
    data,
    importer: {
      ...settings.importer,
      chains: resolve(settings.importer.chains ?? `${data}/chains`),
      socket: resolve(settings.importer.socket ?? `${data}/agent.sock`),
    },
  }
}

function check(tree: object, keys: readonly string[]): Settings {
  // Sections may be left out of the file; their settings then have their defaults.
  const result = schema.safeParse({ log: {}, registry: {}, importer: {}, ...tree })
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.join('.') ?? ''
  if (issue?.code === 'unrecognized_keys') {
    const key = [path, issue.keys[0]].filter(Boolean).join('.')
    const guess = nearest(key, keys)
    throw invalidConfig(
      key,
      `The setting ${key} does not exist${guess === undefined ? '' : `; the nearest is ${guess}`}`,
    )
  }
  throw invalidConfig(path, `The setting ${path} is not valid: ${issue?.message ?? 'invalid'}`)
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

/** Keys of all settings with their descriptions. */
function leavesOf(object: z.ZodObject, prefix = ''): Map<string, string> {
  const leaves = new Map<string, string>()
  for (const [name, field] of Object.entries(object.shape)) {
    const key = prefix + name
    if (field instanceof z.ZodObject) for (const leaf of leavesOf(field, `${key}.`)) leaves.set(...leaf)
    else leaves.set(key, z.globalRegistry.get(field as z.ZodType)?.description ?? '')
  }
  return leaves
}

function* environmentNames(leaves: ReadonlyMap<string, string>): Generator<[string, string]> {
  yield* Object.entries(aliases)
  for (const key of leaves.keys()) yield [environmentName(key), key]
}

/** `registry.idleTimeoutSeconds` is `VARVE_REGISTRY_IDLE_TIMEOUT_SECONDS`. */
function environmentName(key: string): string {
  return `VARVE_${key
    .replace(/[A-Z]/g, letter => `_${letter}`)
    .replaceAll('.', '_')
    .toUpperCase()}`
}

function* flatten(value: unknown, prefix = ''): Generator<[string, unknown]> {
  // A section whose lines are all commented out.
  if (value === null) return
  if (typeof value !== 'object' || Array.isArray(value)) {
    yield [prefix, value]
    return
  }
  for (const [name, inner] of Object.entries(value))
    yield* flatten(inner, prefix === '' ? name : `${prefix}.${name}`)
}

function setIn(tree: object, path: readonly string[], value: unknown): void {
  let node = tree as Record<string, unknown>
  for (const name of path.slice(0, -1)) {
    const next = node[name]
    node[name] = typeof next === 'object' && next !== null ? next : Object.create(null)
    node = node[name] as Record<string, unknown>
  }
  node[path.at(-1) ?? ''] = value
}

function getIn(tree: unknown, path: readonly string[]): unknown {
  let node = tree
  for (const name of path) node = (node as Record<string, unknown> | undefined)?.[name]
  return node
}

function invalidConfig(name: string, sentence: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `${sentence}. \`varve config check\` prints all settings.`,
    { resource: 'config', name },
    { cause },
  )
}
