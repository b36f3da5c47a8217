import { readFile } from 'node:fs/promises'
import type { Config } from '../../config.ts'
import { DomainError, errnoOf } from '../../errors.ts'
import type { Administration } from '../../registry/admin/administration.ts'
import { parseRepositoryName } from '../../storage/reference.ts'
import { SecretFile, secretIn } from '../../storage/remote/credentials/secret-file.ts'
import { isLoopback } from '../../storage/remote/registry-address.ts'
import { version } from '../../version.ts'
import { createCredentials } from '../create-credentials.ts'
import type { AdminFlags } from './options.ts'

/** Credentials may be for some repositories only; those for administration are for all. */
const anyRepository = parseRepositoryName('varve')

export interface OpenedAdministration extends AsyncDisposable {
  readonly administration: Administration
}

/** Of the registry that the flags name: one elsewhere, or the one of the configuration. @throws DomainError. */
export async function openAdministration(config: Config, flags: AdminFlags): Promise<OpenedAdministration> {
  if (flags.registry === undefined) return await openDirectly(config)
  const { HttpAdministration } = await import('../../registry/admin/client/http-administration.ts')
  const url = registryUrl(flags.registry, config)
  const administration = new HttpAdministration({
    url,
    authorization: await authorizationFor(url, config, flags),
    ca: flags.caFile === undefined ? undefined : await contentOf(flags.caFile, '--ca-file'),
    userAgent: `varve/${version}`,
  })
  return { administration, [Symbol.asyncDispose]: () => Promise.resolve() }
}

async function openDirectly(config: Config): Promise<OpenedAdministration> {
  const [{ openMetadata }, { createAdminService }, { audited }, { systemName }] = await Promise.all([
    import('../registry/stores.ts'),
    import('../registry/administration.ts'),
    import('./audited.ts'),
    import('./system-audit.ts'),
  ])
  const metadata = await openMetadata(config, { migrate: config.database.migrate })
  const name = systemName()
  const service = createAdminService(config, metadata)
  return {
    administration: audited(service.as({ kind: 'system', name }), {
      records: metadata,
      file: config.audit.file,
      who: name,
    }),
    [Symbol.asyncDispose]: async () => await metadata[Symbol.asyncDispose](),
  }
}

/** @throws DomainError `invalid`. */
function registryUrl(text: string, { importer }: Config): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.host === '' || !/^\/?$/.test(url.pathname))
    throw invalid(
      `--registry ${JSON.stringify(text)} is no URL of a registry; write https://registry.example.com.`,
      '--registry',
    )
  if (url.username !== '' || url.password !== '')
    throw invalid('Write no password into --registry: everybody sees it; use --token-file.', '--registry')
  if (url.protocol === 'http:' && !isLoopback(url.host) && !hostsIn(importer.plainHttp).includes(url.host))
    throw invalid(
      `Over http:// everybody on the way would learn the token; use https://, or name ${url.host} in importer.plainHttp.`,
      '--registry',
    )
  return url
}

async function authorizationFor(url: URL, config: Config, { tokenFile }: AdminFlags): Promise<string> {
  if (tokenFile !== undefined) return `Bearer ${await new SecretFile(tokenFile, secretIn).content()}`
  const chosen = await createCredentials(config).choose(
    { registry: url.host, repository: anyRepository },
    undefined,
  )
  switch (chosen?.credentials.kind) {
    case 'password': {
      const { username, password } = chosen.credentials
      return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    }
    case 'registry-token':
      return `Bearer ${chosen.credentials.token}`
    case 'identity-token':
      throw invalid(
        `The credentials ${chosen.name} are an identity token, which only the token service takes; use --token-file.`,
        '--token-file',
      )
    case undefined:
      throw invalid(
        `There are no credentials for ${url.host}; make an API token (varve token create) and name its file with --token-file.`,
        '--token-file',
      )
  }
}

async function contentOf(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw invalid(
      `The file ${file} (${flag}) cannot be read (${errnoOf(cause) ?? 'no reason given'}).`,
      flag,
      cause,
    )
  }
}

function hostsIn(list: string): string[] {
  return list.split(',').map(host => host.trim())
}

function invalid(message: string, name: string, cause?: unknown): DomainError {
  return new DomainError('invalid', message, { resource: 'config', name }, { cause })
}
