import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash } from 'bcryptjs'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import type { Role } from '../../src/storage/accounts/roles.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { writeLayout } from '../fixtures/write-layout.ts'
import { basic, passwordOf } from './known-identities.ts'
import { type AuthMode, authorizing, AuthorizedClient } from './authorized-client.ts'
import { exec } from './process.ts'
import { RegistryClient } from './registry-client.ts'
import { type ServedRegistry, serveRegistry } from './served-registry.ts'
import { dir, file, tar } from './tar.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { keepForScan } from './test-logs.ts'
import { varveProgram } from './varve.ts'

/** A user name and what proves that it is theirs: a password or an API token. */
export interface Login {
  readonly username: string
  readonly password: string
}

/**
 * `varve serve` with accounts, as people run it. The tenants are `acme` (private) and `site` (public), each with `gina` as guest,
 * `dave` as developer and `mia` as maintainer; `zoe` is a member of nothing.
 */
export interface AccountRegistry extends AsyncDisposable {
  readonly mode: AuthMode
  /** The same after a restart. */
  readonly url: string
  /** `127.0.0.1:port`, as clients write it in front of a repository's name. */
  readonly host: string
  /** Of a person. */
  login(name: string): Login
  /** An API token of `dave`, made by a command. */
  readonly token: Login
  /** A robot of `acme`, a developer, made by a command. */
  readonly robot: Login
  /** An OCI layout with a small image: {@link smallTag}. */
  readonly layout: string
  /** Where the clients work. Goes with the registry. */
  readonly directory: string
  readonly configFile: string
  /** Runs a command of the program on this registry; answers its standard output. */
  varve(...args: readonly string[]): Promise<string>
  /** @param name undefined: nobody in particular. */
  as(name?: string): RegistryClient
  setPassword(name: string, password: string): Promise<void>
  /** Ends the process, and starts another one on the same data and the same address. */
  restart(): Promise<void>
  log(): string
}

export interface AccountRegistryOptions {
  /** Sections of varve.yaml besides `auth`. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly auth?: Readonly<Record<string, unknown>>
  /** More private tenants with the same members. */
  readonly tenants?: readonly string[]
}

export const smallTag = 'small'
const members: readonly (readonly [string, Role])[] = [
  ['gina', 'guest'],
  ['dave', 'developer'],
  ['mia', 'maintainer'],
]

export async function startAccountRegistry(
  mode: AuthMode,
  { settings = {}, auth = {}, tenants = [] }: AccountRegistryOptions = {},
): Promise<AccountRegistry> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const path = (name: string): string => join(directory.path, name)
  const [data, configFile, auditFile] = [path('data'), path('varve.yaml'), path('audit.jsonl')]
  const config = { ...settings, data, auth: { mode, ...auth }, audit: { file: auditFile, pulls: true } }
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify(config), { mode: 0o600 })
  let served: ServedRegistry = await serveRegistry(data, '--config', configFile)
  const logged: Record<string, unknown>[][] = []
  stack.defer(async () => {
    await served[Symbol.asyncDispose]()
    keepForScan(await readFile(auditFile, 'utf8').catch(() => ''))
  })
  const { url } = served
  const { host } = new URL(url)
  const metadata = stack.use(await openSqliteMetadata(join(data, 'registry', 'varve.db')))
  await makeAccounts(metadata, tenants)
  const varve = (...args: readonly string[]): Promise<string> =>
    exec(varveProgram, [...args, '--config', configFile])
  const made = async (...args: readonly string[]): Promise<string> =>
    (JSON.parse(await varve(...args, '--json')) as { token: string }).token
  const token = { username: 'dave', password: await made('token', 'create', 'dave') }
  const robotToken = await made('robot', 'create', 'acme', 'ci', '--role', 'developer')
  const layout = path('layout')
  await writeLayout(layout, {
    [smallTag]: [
      tar(dir('etc'), file('etc/motd', 'hello')),
      tar(dir('srv'), file('srv/page', 'x'.repeat(5000))),
    ].map(bytes => [bytes]),
  })
  const owned = stack.move()
  return {
    mode,
    url,
    host,
    login: name => ({ username: name, password: passwordOf(name) }),
    token,
    robot: { username: 'acme+ci', password: robotToken },
    layout,
    directory: directory.path,
    configFile,
    varve,
    as: name =>
      name === undefined
        ? new RegistryClient(url)
        : new AuthorizedClient(url, authorizing(url, mode, basic(name))),
    setPassword: async (name, password) => {
      const passwordHash = await hash(password, testCost)
      await metadata.updateAccount(parseAccountName(name), { passwordHash })
    },
    restart: async () => {
      logged.push([...served.lines()])
      await served.stop()
      served = await serveRegistry(data, '--config', configFile, '--address', host)
    },
    log: () => JSON.stringify([...logged, served.lines()]),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The lowest that bcrypt has. */
const testCost = 4

async function makeAccounts(metadata: Metadata, more: readonly string[]): Promise<void> {
  const site = parseTenantName('site')
  const closed = ['acme', ...more].map(parseTenantName)
  for (const name of closed) await metadata.createTenant({ name })
  await metadata.createTenant({ name: site, visibility: 'public' })
  for (const name of [...members.map(([member]) => member), 'zoe'])
    await metadata.createAccount({
      name: parseAccountName(name),
      kind: 'user',
      passwordHash: await hash(passwordOf(name), testCost),
    })
  for (const [name, role] of members)
    for (const tenant of [...closed, site]) await metadata.setMember(tenant, parseAccountName(name), role)
}
