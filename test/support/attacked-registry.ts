import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { startRegistry } from '../../src/cli/registry/start-registry.ts'
import { loadConfig } from '../../src/config.ts'
import { makeAccountToken } from '../../src/registry/auth/identities/account-token.ts'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import type { Digest } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { basic } from './known-identities.ts'
import { type KeptLog, keepLog } from './log-lines.ts'
import { connectRaw } from './raw-http.ts'
import { type Answer, type Call, RegistryClient } from './registry-client.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** The layer of `acme/app:1`, which nobody outside of acme may learn of. */
export const secretLayer = Buffer.from('a layer that acme keeps for itself')

/** A client that sends one and the same `Authorization`, or none. */
class AuthorizedClient extends RegistryClient {
  readonly #authorization: string | undefined

  constructor(url: string, authorization: string | undefined) {
    super(url)
    this.#authorization = authorization
  }

  override send(method: string, path: string, { headers = {}, ...call }: Call = {}): Promise<Answer> {
    const own = this.#authorization === undefined ? {} : { authorization: this.#authorization }
    return super.send(method, path, { ...call, headers: { ...own, ...headers } })
  }
}

/** What came back on a connection on which a test has written by hand. */
export interface RawAnswer {
  /** Of the first answer; 0 when there was none. */
  readonly status: number
  /** How many answers there were. */
  readonly answers: number
  readonly text: string
}

/** A registry as `varve serve` puts it together, with something in it that is worth an attack. */
export interface AttackedRegistry extends AsyncDisposable {
  readonly url: string
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** That of `--data`. */
  readonly directory: string
  readonly kept: KeptLog
  /** A second opening of its database. */
  readonly metadata: Metadata
  /** Digest of the manifest `acme/app:1`. */
  readonly manifest: Digest
  /** A client with exactly this `Authorization`. */
  with(authorization?: string): RegistryClient
  /** `Basic` with the name and the API token of an account. */
  readonly login: (name: string) => string
  /** The API token of an account. */
  tokenOf(name: string): string
  /** `Bearer` with an access token for these scopes. @param name undefined: nobody in particular. */
  bearer(name: string | undefined, ...scopes: readonly string[]): Promise<string>
  /** Writes this, and answers what came until the server closed. */
  raw(text: string | Buffer): Promise<RawAnswer>
  /** Whole lines of the audit log's file. */
  audited(): Promise<Record<string, unknown>[]>
  /** Everything that an attack may not change. */
  state(): string
  /** Runs an attack, and fails unless all is as it was and the next request is answered. */
  unharmed<T>(attack: () => Promise<T>): Promise<T>
}

/**
 * The tenants `acme` (private), `site` (public) and `other` (private); of acme `gina` (guest), `dave` and `dora` (developers)
 * and `mia` (maintainer); `oscar` owns other, `zoe` belongs to nothing, and `root` may do everything. Each has an API token.
 */
export async function startAttacked(
  flags: Readonly<Record<string, unknown>> = {},
): Promise<AttackedRegistry> {
  await using stack = new AsyncDisposableStack()
  const { path: directory } = stack.use(await temporaryDirectory())
  const auditFile = join(directory, 'audit.jsonl')
  const { config } = loadConfig({
    environment: {},
    flags: {
      data: directory,
      'auth.mode': 'token',
      'auth.admins': 'root',
      'auth.maxFailures': 1_000_000,
      'audit.file': auditFile,
      'registry.address': '127.0.0.1:0',
      'registry.metricsAddress': 'off',
      'registry.drainSeconds': 1,
      'limits.loginsPerMinute': 1_000_000,
      ...flags,
    },
  })
  const kept = keepLog()
  const registry = stack.use(await startRegistry(config, kept.log))
  const database = join(directory, 'registry', 'varve.db')
  const metadata = stack.use(await openSqliteMetadata(database))
  const reader = new DatabaseSync(database, { readOnly: true })
  stack.defer(() => reader.close())
  const { host } = new URL(registry.url)
  const tokens = await people(metadata)

  const tokenOf = (name: string): string => tokens.get(name) ?? assert.fail(`there is no ${name}`)
  const login = (name: string): string => basic(name, tokenOf(name))
  const withAuthorization = (authorization?: string) => new AuthorizedClient(registry.url, authorization)
  const state = () => JSON.stringify(worthKeeping.map(query => reader.prepare(query).all()))

  const manifest = await withAuthorization(login('dave')).pushImage('acme/app', '1', secretLayer)
  await withAuthorization(login('oscar')).pushImage('other/app', '1', Buffer.from('a layer of other'))
  await withAuthorization(login('root')).pushImage('site/app', '1', Buffer.from('a layer for everybody'))
  // The first token makes the key that signs it.
  if (config.auth.mode === 'token') await withAuthorization(login('root')).send('GET', '/token')
  const owned = stack.move()
  return {
    url: registry.url,
    host,
    directory,
    kept,
    metadata,
    manifest,
    with: withAuthorization,
    login,
    tokenOf,
    bearer: async (name, ...scopes) => {
      const query = scopes.map(scope => `&scope=${encodeURIComponent(scope)}`).join('')
      const who = withAuthorization(name === undefined ? undefined : login(name))
      const { status, bytes } = await who.send('GET', `/token?service=varve${query}`)
      assert.equal(status, 200, bytes.toString())
      return `Bearer ${(JSON.parse(bytes.toString()) as { token: string }).token}`
    },
    raw: async text => {
      const connection = await connectRaw(registry.url)
      connection.socket.write(text)
      const received = await connection.ended()
      connection.socket.destroy()
      const [, status = '0'] = /^HTTP\/1\.1 (\d{3}) /.exec(received) ?? []
      return {
        status: Number(status),
        answers: received.match(/^HTTP\/1\.1 \d{3} /gm)?.length ?? 0,
        text: received,
      }
    },
    audited: async () => {
      // A line that is being written at this moment may be seen in part.
      const lines = (await readFile(auditFile, 'utf8')).split('\n').slice(0, -1)
      return lines.map((line): Record<string, unknown> => JSON.parse(line))
    },
    state,
    unharmed: async attack => {
      const before = state()
      const outcome = await attack()
      assert.equal(state(), before)
      const next = await withAuthorization(login('gina')).send('GET', '/v2/acme/app/manifests/1')
      assert.equal(next.status, 200)
      return outcome
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

/** Without what changes by itself: times of use, hashes that get more work, positions of events. */
const worthKeeping = [
  'SELECT name FROM repositories ORDER BY name',
  'SELECT repository, digest FROM manifests ORDER BY repository, digest',
  'SELECT repository, name, digest FROM tags ORDER BY repository, name',
  'SELECT repository, digest FROM blob_links ORDER BY repository, digest',
  'SELECT digest, size FROM blobs ORDER BY digest',
  'SELECT id, repository, upload_offset, account FROM uploads ORDER BY id',
  'SELECT * FROM tenants ORDER BY name',
  'SELECT * FROM tenant_members ORDER BY tenant, account',
  'SELECT * FROM grants ORDER BY id',
  'SELECT * FROM tag_rules ORDER BY id',
  'SELECT * FROM repository_visibility ORDER BY repository',
  'SELECT name, kind, is_admin, is_disabled, description FROM accounts ORDER BY name',
  'SELECT id, kind, account, description, revoked_at FROM credentials ORDER BY id',
  'SELECT id FROM signing_keys ORDER BY id',
  'SELECT * FROM settings ORDER BY name',
  'SELECT name, deleted_at, moving FROM repositories ORDER BY name',
  'SELECT repository, digest FROM deleted_manifests ORDER BY repository, digest',
  'SELECT repository, tag, digest FROM tag_history ORDER BY serial',
  'SELECT id, tenant, rules FROM retention_policies ORDER BY serial',
  'SELECT repository, tag, digest FROM tag_expiries ORDER BY repository, tag',
  'SELECT digest, kind FROM blob_faults ORDER BY digest',
]

/** Answers the API tokens by the names of their accounts. */
async function people(metadata: Metadata): Promise<Map<string, string>> {
  await metadata.createTenant({ name: parseTenantName('acme') })
  await metadata.createTenant({ name: parseTenantName('site'), visibility: 'public' })
  await metadata.createTenant({ name: parseTenantName('other') })
  const tokens = new Map<string, string>()
  for (const name of ['root', 'gina', 'dave', 'dora', 'mia', 'oscar', 'zoe'])
    tokens.set(name, await person(metadata, name))
  for (const [tenant, name, role] of [
    ['acme', 'gina', 'guest'],
    ['acme', 'dave', 'developer'],
    ['acme', 'dora', 'developer'],
    ['acme', 'mia', 'maintainer'],
    ['other', 'oscar', 'owner'],
  ] as const)
    await metadata.setMember(parseTenantName(tenant), parseAccountName(name), role)
  return tokens
}

/** Makes an account with an API token, and answers that. */
export async function person(metadata: Metadata, name: string): Promise<string> {
  const account = parseAccountName(name)
  await metadata.createAccount({ name: account, kind: 'user' })
  const { id, text, secretDigest } = makeAccountToken('token')
  await metadata.addCredential({ id, kind: 'token', account, secretDigest, description: 'of a test' })
  return text
}

/** Everything of an answer but what differs with each request. @param words to be taken for the same, such as names. */
export function essenceOf({ status, headers, bytes }: Answer, ...words: readonly string[]): string {
  const { date: _, 'x-request-id': __, ...rest } = headers
  const ids = /[0-9a-f]{8}-[0-9a-f-]{27}|_state=[\w.-]+/g
  const text = JSON.stringify([status, rest, bytes.toString()]).replaceAll(ids, 'ID')
  return words.reduce((left, word) => left.replaceAll(word, 'WORD'), text)
}
