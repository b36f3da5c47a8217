import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { withinQuotas } from '../../../src/cli/registry/limits.ts'
import { openSecurity } from '../../../src/cli/registry/security.ts'
import { createLogger } from '../../../src/log.ts'
import { createMetrics, type Metrics } from '../../../src/metrics/metrics.ts'
import { createRegistryApp } from '../../../src/registry/app.ts'
import { makeAccountToken } from '../../../src/registry/auth/identities/account-token.ts'
import type { Endpoint } from '../../../src/registry/endpoints.ts'
import { defaultServerTimeouts, listen } from '../../../src/registry/server.ts'
import { parseAccountName } from '../../../src/storage/accounts/names.ts'
import { BufferBudget } from '../../../src/storage/blobs/buffer-budget.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import type { NewCredential } from '../../../src/storage/metadata/account-records.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { testPasswordCost } from '../../support/administration.ts'
import { basic, passwordOf } from '../../support/known-identities.ts'
import { OpenIdIssuer } from '../../support/openid-issuer.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import type { Mode } from './expected.ts'
import { admin, people, type Person } from './people.ts'
import { repositories } from './repositories.ts'
import { addPerson, addTenants } from './seed.ts'
import { Shown } from './shown.ts'
import { configFor, serveDiscovery } from './world-config.ts'

/** A registry as `varve serve` puts it together, with all people and repositories of the matrix in it. */
export interface World extends AsyncDisposable {
  readonly mode: Mode
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly metadata: Metadata
  readonly metrics: Metrics
  readonly issuer: OpenIdIssuer
  /** All that it answers, beside `registryEndpoints`. */
  readonly moreEndpoints: readonly Endpoint[]
  /** Whoever may do everything. */
  readonly admin: Shown
  /** `Authorization` of this person, as curl would send it; undefined for nobody. */
  loginOf(person: Person): Promise<string | undefined>
  /** Another API token of an account; its text. */
  addToken(account: string, more?: Partial<NewCredential>): Promise<string>
  /** Never the same. */
  fresh(): string
}

/** Of every repository that is there: under the tag `1`, with this layer. */
export const layer = Buffer.from('a layer of the matrix')

export async function openWorld(mode: Mode): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const issuer = stack.use(await OpenIdIssuer.start())
  serveDiscovery(issuer)
  const config = configFor(mode, path, issuer)
  await mkdir(join(path, 'objects'))
  const metadata = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
  const blobs = new ObjectBlobStore({
    objects: await FilesystemObjectStore.open(join(path, 'objects')),
    metadata,
  })
  const log = createLogger({ level: 'silent' })
  const uploadBuffers = new BufferBudget({ limitBytes: 64 * 1024 * 1024, partBytes: 5 * 1024 * 1024 })
  const metrics = createMetrics({ uploadBuffers, uploads: blobs })
  const security = stack.use(
    await openSecurity({ config, metadata, blobs, metrics, log, passwordCost: testPasswordCost }),
  )
  const app = createRegistryApp({
    ...withinQuotas({ blobs, metadata }, metrics),
    security: security.registry,
    buffers: uploadBuffers,
    metrics,
    log,
  })
  const timeouts = { ...defaultServerTimeouts, stopMs: 1000 }
  const server = await listen(app.callback(), { host: '127.0.0.1', port: 0 }, timeouts)
  stack.defer(() => server.close())

  let count = 0
  const tokens = new Map<string, string>()
  const addToken: World['addToken'] = async (account, more) => {
    const { id, text, secretDigest } = makeAccountToken(more?.kind ?? 'token')
    await metadata.addCredential({
      id,
      kind: 'token',
      account: parseAccountName(account),
      secretDigest,
      ...more,
    })
    return text
  }
  const logins = new Map<Person, Promise<string | undefined>>()
  const loginOf = (person: Person) => {
    const login = logins.get(person) ?? makeLogin(person)
    logins.set(person, login)
    return login
  }
  const makeLogin: World['loginOf'] = async ({ account, by }) => {
    if (account === null) return undefined
    switch (by) {
      case 'nothing':
        return undefined
      case 'password':
        return basic(account, passwordOf(account))
      case 'API token':
        return basic(account, tokens.get(account))
      case 'OpenID token':
        return basic(account, await issuer.sign({ sub: account.split('/')[1] }))
    }
  }
  await addTenants(metadata)
  for (const person of people) await addPerson(metadata, person)
  for (const { account, by } of people)
    if (account !== null && by === 'API token') tokens.set(account, await addToken(account))
  const asAdmin = new Shown(server.url, mode === 'none' ? undefined : await loginOf(admin))
  for (const { name, isThere } of repositories) if (isThere) await asAdmin.pushImage(name, '1', layer)
  const owned = stack.move()
  return {
    mode,
    url: server.url,
    metadata,
    metrics,
    issuer,
    moreEndpoints: security.registry.routes ?? [],
    admin: asAdmin,
    loginOf,
    addToken,
    fresh: () => {
      count += 1
      return String(count)
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}
